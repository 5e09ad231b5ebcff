"""Overlapping tiles in space, and the weights that stitch them."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from star.video.windows import blend_weights, plan_windows

TileSize = int | tuple[int, int]  # both sides, or height and width


@dataclass(frozen=True)
class Tile:
    """A rectangle of a frame: rows top..bottom, columns left..right.

    Args:
        top: first row.
        bottom: row after the last.
        left: first column.
        right: column after the last.
        weight: share of this tile in the stitched frame,
            (bottom - top, right - left) float32.
    """

    top: int
    bottom: int
    left: int
    right: int
    weight: Tensor


def plan_tiles(
    height: int,
    width: int,
    size: TileSize,
    overlap: TileSize,
    multiple: tuple[int, int] = (1, 1),
    remainder: tuple[int, int] = (0, 0),
) -> list[Tile]:
    """Cover a frame with tiles whose weights sum to 1 at each pixel.

    Args:
        height: rows of the frame.
        width: columns of the frame.
        size: side of a tile, or its height and width; per axis it becomes
            the largest allowed side that is no longer. A frame's axis no
            longer than `size` is spanned by one tile, whatever its length.
        overlap: least number of pixels that neighbours share, or that of
            rows and that of columns.
        multiple: a tile's (height, width) is k * multiple + remainder.
        remainder: see `multiple`; each in [0, multiple).

    Returns:
        Tiles row by row, all inside the frame, with smooth ramps.

    Raises:
        ValueError: an argument is out of range, or no allowed side lies
            above `overlap` and within `size`.
    """
    if min(height, width) < 1:
        raise ValueError(
            f'`height` and `width` must be at least 1, got {height}, {width}'
        )
    sizes, overlaps = both_axes(size), both_axes(overlap)
    rows, columns = (
        _plan_axis(*axis)
        for axis in zip(
            (height, width), sizes, overlaps, multiple, remainder, strict=True
        )
    )
    row_weights = blend_weights(height, rows, 'smooth')
    column_weights = blend_weights(width, columns, 'smooth')
    return [
        Tile(top, bottom, left, right, row_weight[:, None] * column_weight)
        for (top, bottom), row_weight in zip(rows, row_weights, strict=True)
        for (left, right), column_weight in zip(
            columns, column_weights, strict=True
        )
    ]


def both_axes(size: TileSize) -> tuple[int, int]:
    """Return a height and a width: both are one number, if only one is given.

    Args:
        size: a number for both axes, or one for each.
    """
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def cut_tile(x: Tensor, tile: Tile, up: int = 1, down: int = 1) -> Tensor:
    """Return what a tile covers, a view, where frames have another size.

    Args:
        x: frames, (..., H, W).
        tile: planned on frames of another size or the same.
        up: `x` has up / down times the pixels of an axis.
        down: see `up`.
    """
    rows = slice(tile.top * up // down, tile.bottom * up // down)
    columns = slice(tile.left * up // down, tile.right * up // down)
    return x[..., rows, columns]


def stitch_tiles(pieces: Iterable[Tensor], tiles: list[Tile]) -> Tensor:
    """Sum the weighted tiles up in float32, where the first one lives.

    Args:
        pieces: (..., h, w), one per tile; may be computed one by one.
        tiles: as of `plan_tiles`, for frames of the pieces' size.

    Returns:
        The frames, (..., H, W).
    """
    height, width = tiles[-1].bottom, tiles[-1].right
    out = None
    for piece, tile in zip(pieces, tiles, strict=True):
        if out is None:
            shape = (*piece.shape[:-2], height, width)
            out = piece.new_zeros(shape, dtype=torch.float32)
        weight = tile.weight.to(piece.device)
        cut_tile(out, tile).add_(piece * weight)
    assert out is not None
    return out


def _plan_axis(
    length: int, size: int, overlap: int, multiple: int, remainder: int
) -> list[tuple[int, int]]:
    if not 0 <= remainder < multiple:
        raise ValueError(
            '`remainder` must lie in [0, multiple), got '
            f'{remainder} at multiple {multiple}'
        )
    windows = plan_windows(length, size, overlap)  # checks its arguments
    if length <= size:
        return windows
    side = size - (size - remainder) % multiple
    if side <= overlap:
        raise ValueError(
            f'`size` must allow a side of {multiple}k + {remainder} above '
            f'the overlap of {overlap}, got {size}'
        )
    return plan_windows(length, side, overlap)
