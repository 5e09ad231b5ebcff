from itertools import pairwise

import pytest
import torch

from star.video.tiling import (
    cut_tile,
    plan_tiles,
    reweigh_tiles,
    stitch_tiles,
)

FRAMES = [(1, 1), (7, 50), (17, 16), (33, 64), (31, 50)]
SIZES = [(4, 1), (8, 0), (8, 3), (16, 15), (32, 8), (64, 16)]


def stitch(x, tiles):
    """Run an identity model over the tiles."""
    out = torch.zeros_like(x)
    for t in tiles:
        part = x[..., t.top : t.bottom, t.left : t.right]
        out[..., t.top : t.bottom, t.left : t.right] += part * t.weight
    return out


@pytest.mark.parametrize('height, width', FRAMES)
@pytest.mark.parametrize('size, overlap', SIZES)
def test_identity_and_sides(height, width, size, overlap):
    x = torch.linspace(-1, 1, 2 * height * width).reshape(2, height, width)
    tiles = plan_tiles(height, width, size, overlap)
    # Up to 256 weights meet at a pixel, each rounded to float32.
    torch.testing.assert_close(stitch(x, tiles), x, atol=2e-6, rtol=0)
    for tile in tiles:
        assert tile.bottom - tile.top == min(size, height)
        assert tile.right - tile.left == min(size, width)
        assert tile.weight.shape == (min(size, height), min(size, width))


@pytest.mark.parametrize('height', [2, 10, 34, 66, 90, 122])
@pytest.mark.parametrize('width', [8, 64, 160, 216])
@pytest.mark.parametrize('size, overlap', [(33, 8), (64, 16), (100, 50)])
def test_tiles_that_a_unet_accepts(height, width, size, overlap):
    # The network's latents: height 2 mod 8, width 0 mod 8.
    tiles = plan_tiles(height, width, size, overlap, (8, 8), (2, 0))
    x = torch.linspace(-1, 1, height * width).reshape(height, width)
    torch.testing.assert_close(stitch(x, tiles), x, atol=1e-6, rtol=0)
    for t in tiles:
        assert 0 <= t.top < t.bottom <= height
        assert 0 <= t.left < t.right <= width
        assert (t.bottom - t.top) % 8 == 2
        assert (t.right - t.left) % 8 == 0
        assert max(t.bottom - t.top, t.right - t.left) <= size


@pytest.mark.parametrize('overlap', [0, 5, 20])
def test_neighbours_share_at_least_the_overlap(overlap):
    tiles = plan_tiles(100, 100, 32, overlap)
    tops = sorted({t.top for t in tiles})
    lefts = sorted({t.left for t in tiles})
    assert len(tiles) == len(tops) * len(lefts)
    for starts in (tops, lefts):
        gaps = [b - a for a, b in pairwise(starts)]
        assert max(gaps) <= 32 - overlap


def test_a_frame_no_larger_than_a_tile_is_one_tile():
    (tile,) = plan_tiles(19, 33, 64, 16, (8, 8), (2, 0))
    assert (tile.top, tile.bottom, tile.left, tile.right) == (0, 19, 0, 33)
    assert torch.equal(tile.weight, torch.ones(19, 33))


def test_only_the_long_axis_is_split():
    tiles = plan_tiles(30, 100, 40, 10)
    assert {(t.top, t.bottom) for t in tiles} == {(0, 30)}
    assert [(t.left, t.right) for t in tiles] == [(0, 40), (30, 70), (60, 100)]


def test_sides_round_down():
    tiles = plan_tiles(90, 160, 64, 16, (8, 8), (2, 0))
    assert {t.bottom - t.top for t in tiles} == {58}
    assert {t.right - t.left for t in tiles} == {64}


def test_weights_fall_towards_inner_edges_only():
    tiles = plan_tiles(10, 50, 30, 10)
    first, second = (t.weight for t in tiles)
    assert (first[:, :20] == 1).all()
    assert (second[:, 10:] == 1).all()
    assert (first[:, 20:].diff(dim=1) < 0).all()
    assert (first.diff(dim=0) == 0).all()


@pytest.mark.parametrize(
    'args, message',
    [
        ((90, 90, 32, 32), r'`overlap` must lie in \[0, size\), got 32'),
        ((90, 90, 0, 0), '`size` must be at least 1, got 0'),
        ((9, 9, 32, 32), r'`overlap` must lie in \[0, size\), got 32'),
        ((0, 90, 32, 8), '`height` and `width` .* got 0, 90'),
        (
            (90, 90, 32, 26, (8, 8), (2, 0)),
            r'side of 8k \+ 2 above the overlap of 26, got 32',
        ),
        (
            (90, 90, 32, 8, (8, 8), (8, 0)),
            r'`remainder` must lie in \[0, multiple\), got 8 at multiple 8',
        ),
        ((90, 90, 32, 8, (0, 1)), r'`remainder` .* at multiple 0'),
    ],
)
def test_refuses_bad_arguments(args, message):
    with pytest.raises(ValueError, match=message):
        plan_tiles(*args)


def test_cut_and_stitch_at_other_sizes():
    """Tiles of 10 x 14 latents cut frames of 4 x their size."""
    x = torch.linspace(-1, 1, 2 * 40 * 56).reshape(2, 40, 56)
    tiles = plan_tiles(10, 14, (4, 6), (1, 2))
    parts = [cut_tile(x, t, 4) for t in tiles]
    assert {part.shape for part in parts} == {(2, 16, 24)}
    second = tiles[1]
    left, right = 4 * second.left, 4 * second.right
    assert torch.equal(parts[1], x[:, :16, left:right])
    small = (part[..., ::4, ::4] for part in parts)
    torch.testing.assert_close(stitch_tiles(small, tiles), x[..., ::4, ::4])
    tiles = plan_tiles(40, 56, (16, 24), (4, 8))
    parts = [cut_tile(x[..., ::4, ::4], t, 1, 4) for t in tiles]
    assert torch.equal(parts[1], cut_tile(x, tiles[1])[..., ::4, ::4])


def test_stitching_is_in_float32():
    x = torch.linspace(-1, 1, 90).reshape(9, 10).bfloat16()
    tiles = plan_tiles(9, 10, 6, 3)
    out = stitch_tiles((cut_tile(x, t) for t in tiles), tiles)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, x.float(), atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match='zip'):
        stitch_tiles([cut_tile(x, tiles[0])], tiles)


def test_plain_means():
    """Where n tiles meet, each counts 1 / n."""
    tiles = reweigh_tiles(plan_tiles(5, 9, 4, 1), torch.ones)
    assert [(t.top, t.left) for t in tiles] == [
        (top, left) for top in (0, 1) for left in (0, 3, 5)
    ]
    pieces = [torch.full((4, 4), float(n)) for n in range(6)]
    out = stitch_tiles(pieces, tiles)
    assert out[0].tolist() == [0, 0, 0, 0.5, 1, 1.5, 1.5, 2, 2]
    assert out[2].tolist() == [1.5, 1.5, 1.5, 2, 2.5, 3, 3, 3.5, 3.5]


def test_other_weights_sum_to_one():
    def weigh(height, width):
        return torch.rand(height, width) + 0.1

    tiles = reweigh_tiles(plan_tiles(17, 30, 8, 3), weigh)
    x = torch.linspace(-1, 1, 17 * 30).reshape(17, 30)
    torch.testing.assert_close(stitch(x, tiles), x, atol=1e-6, rtol=0)
