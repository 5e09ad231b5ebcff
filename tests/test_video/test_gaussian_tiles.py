import pytest
import torch

from star.video.gaussian_tiles import gaussian_weight, plan_gaussian_tiles
from star.video.tiling import cut_tile, stitch_tiles


@pytest.mark.parametrize('size', [16, (16, 20)])
@pytest.mark.parametrize(('height', 'width'), [(16, 20), (50, 33), (9, 70)])
def test_pieces_of_a_frame_make_the_frame(height: int, width: int, size):
    frame = torch.rand(2, height, width)
    tiles = plan_gaussian_tiles(height, width, size, 6)
    out = stitch_tiles((cut_tile(frame, tile) for tile in tiles), tiles)
    torch.testing.assert_close(out, frame, rtol=0, atol=1e-6)
    assert all(tile.weight.dtype == torch.float32 for tile in tiles)


def test_a_tile_counts_most_in_its_middle():
    weight = gaussian_weight(64, 32)
    assert weight.shape == (64, 32)
    assert weight[32, 15] == weight[32, 16] == weight.max()
    torch.testing.assert_close(weight, weight.flip(1))  # along x even
    assert weight[31, 15] == weight[33, 15] < weight[32, 15]
    # a standard deviation is a tenth of the side
    ratio = weight[32 + 6, 15] / weight[32, 15]
    assert ratio == pytest.approx(torch.tensor(-((6 / 6.4) ** 2) / 2).exp())


def test_changes_between_tiles_are_smooth():
    tiles = plan_gaussian_tiles(64, 160, 64, 32)
    pieces = [torch.full((64, 64), float(i)) for i in range(len(tiles))]
    row = stitch_tiles(pieces, tiles)[32]
    assert row[0] == pytest.approx(0, abs=1e-6)
    assert row[-1] == pytest.approx(len(tiles) - 1, abs=1e-5)
    steps = row.diff()
    assert steps.min() > -1e-6 and steps.max() < 0.25  # of a plain mean, 0.5
