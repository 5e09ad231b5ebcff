"""Tiles that are restored one by one: a core, and a border around it."""

import torch

from star.video.tiling import Tile, TileSize, both_axes
from star.video.windows import blend_weights

_Span = tuple[int, int]


def needs_tiles(height: int, width: int, tile: TileSize) -> bool:
    """Return whether a frame has as many pixels as a tile, or more.

    Args:
        height: of the frame.
        width: of the frame.
        tile: side of a tile, or height and width; 0 for no tiles.
    """
    rows, columns = both_axes(tile)
    return rows > 0 and columns > 0 and height * width >= rows * columns


def plan_core_tiles(
    height: int, width: int, tile: TileSize, overlap: int, paste: bool
) -> list[Tile]:
    """Cover a frame with tiles as published.

    Cores lie side by side from the top left on. Each tile is a core with a
    border of half of `overlap` on each side, as far as the frame goes. A row
    or column of cores that lies in the border of the one before is left out.

    Args:
        height: rows of the frame.
        width: columns of the frame.
        tile: side of a core with its borders, or height and width.
        overlap: two borders, less than two thirds of `tile`.
        paste: whether only cores count, as published; if not, tiles are
            faded over all that they share.

    Returns:
        Tiles row by row, whose weights sum to 1 at each pixel.
    """
    axes = [
        _plan_axis(length, side, overlap // 2)
        for length, side in zip((height, width), both_axes(tile), strict=True)
    ]
    rows, columns = (
        list(zip(spans, _weights(spans, cores, paste), strict=True))
        for spans, cores in axes
    )
    return [
        Tile(top, bottom, left, right, down[:, None] * along)
        for (top, bottom), down in rows
        for (left, right), along in columns
    ]


def _plan_axis(
    length: int, side: int, pad: int
) -> tuple[list[_Span], list[_Span]]:
    """Plan the spans of tiles with their borders, and of their cores."""
    core = side - 2 * pad
    starts = list(range(0, length, core))
    if len(starts) > 1 and starts[-1] + pad >= length:
        starts.pop()
    ends = [*starts[1:], length]
    cores = list(zip(starts, ends, strict=True))
    spans = [(max(a - pad, 0), min(b + pad, length)) for a, b in cores]
    return spans, cores


def _weights(
    spans: list[_Span], cores: list[_Span], paste: bool
) -> list[torch.Tensor]:
    if not paste:
        return blend_weights(spans[-1][1], spans, 'smooth')
    found = []
    for (first, end), core in zip(spans, cores, strict=True):
        weight = torch.zeros(end - first)
        weight[core[0] - first : core[1] - first] = 1
        found.append(weight)
    return found
