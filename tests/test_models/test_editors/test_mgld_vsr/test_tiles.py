import pytest
import torch

from star.models.editors.mgld_vsr.tiles import plan_pixel_tiles
from star.video.tiling import cut_tile, stitch_tiles


@pytest.mark.parametrize('official', [False, True])
@pytest.mark.parametrize('tile', [0, 100, (96, 160)])
def test_tiles_give_back_what_they_were_cut_from(tile, official):
    frames = torch.randn(2, 3, 224, 352)
    tiles = plan_pixel_tiles((224, 352), tile, 30, official)
    pieces = (cut_tile(frames, found.pixels) for found in tiles)
    out = stitch_tiles(pieces, [found.pixels for found in tiles])
    torch.testing.assert_close(out, frames)


def test_tiles_are_aligned_to_latents():
    for found in plan_pixel_tiles((224, 352), (100, 111), 30):
        tile = found.pixels
        assert (tile.top, tile.left) == (8 * found.top, 8 * found.left)
        size = tile.bottom - tile.top, tile.right - tile.left
        assert size == (8 * found.size[0], 8 * found.size[1])
        assert size == (96, 104)


def test_official_motion_lies_aside():
    tiles = plan_pixel_tiles((960, 2560), 960, 210, official=True)
    starts = [(found.pixels.left, found.left) for found in tiles]
    assert starts == [(0, 0), (750, 93), (1500, 186), (1600, 200)]


def test_no_tiles_need_no_overlap():
    """A frame may be smaller than the overlap that tiles would have."""
    for official in (False, True):
        (found,) = plan_pixel_tiles((64, 96), 0, 128, official)
        assert (found.top, found.left, found.size) == (0, 0, (8, 12))
