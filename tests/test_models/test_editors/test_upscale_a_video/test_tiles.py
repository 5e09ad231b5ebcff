"""Tiles that are pasted or faded; their places against the official code are
in `test_reference`."""

import pytest
import torch

from star.models.editors.upscale_a_video.tiles import (
    needs_tiles,
    plan_core_tiles,
)
from star.video.tiling import cut_tile, stitch_tiles


@pytest.mark.parametrize('paste', [False, True])
@pytest.mark.parametrize(
    ('size', 'side', 'overlap'),
    [((60, 100), 40, 8), ((7, 93), (40, 20), 6), ((50, 41), 16, 10)],
)
def test_tiles_of_a_frame_are_the_frame(size, side, overlap, paste):
    x = torch.rand(2, 3, *size)
    tiles = plan_core_tiles(*size, side, overlap, paste)
    assert len(tiles) > 1
    out = stitch_tiles((cut_tile(x, tile) for tile in tiles), tiles)
    torch.testing.assert_close(out, x, atol=1e-6, rtol=0)
    weights = torch.stack([tile.weight.max() for tile in tiles])
    assert torch.all(weights > 0)
    hard = all(bool(((t.weight == 0) | (t.weight == 1)).all()) for t in tiles)
    assert hard is paste


def test_pasted_tiles_count_as_far_as_their_cores():
    first, second = plan_core_tiles(16, 40, 32, 8, paste=True)
    assert (first.left, first.right) == (0, 28)
    assert (second.left, second.right) == (20, 40)
    assert first.weight[0].tolist() == [1] * 24 + [0] * 4
    assert second.weight[0].tolist() == [0] * 4 + [1] * 16


def test_tiles_are_needed_from_the_size_of_one_on():
    assert needs_tiles(20, 20, 20) and needs_tiles(10, 40, 20)
    assert not needs_tiles(19, 21, 20)
    assert not needs_tiles(1000, 1000, 0)
