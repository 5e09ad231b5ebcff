"""Overlapping tiles in space, and the weights that blend them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from star.video.windows import blend_weights, plan_windows

TileSize = int | tuple[int, int]  # both sides, or height and width


@dataclass(frozen=True)
class Tile:
    """A rectangle of a frame: rows top..bottom, columns left..right.

    Args:
        top: first row.
        bottom: row after the last one.
        left: first column.
        right: column after the last one.
        weight: weight of the tile at each pixel of the frame,
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
        size: side of a tile, or its height and width. Each axis takes the
            largest allowed side up to it. An axis of the frame that is no
            longer than `size` has one tile, whatever its length.
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


def reweigh_tiles(
    tiles: list[Tile], weigh: Callable[[int, int], Tensor]
) -> list[Tile]:
    """Give tiles other weights, which sum to 1 at each pixel as well.

    Args:
        tiles: result of `plan_tiles`.
        weigh: height and width -> positive weights of a tile, (h, w), before
            they are divided by their sum; `torch.ones` gives plain means.

    Returns:
        The same rectangles.
    """
    size = tiles[-1].bottom, tiles[-1].right
    total = torch.zeros(size, dtype=torch.float64)
    raw = [weigh(*tile.weight.shape) for tile in tiles]
    for tile, weight in zip(tiles, raw, strict=True):
        cut_tile(total, tile).add_(weight)
    return [
        replace(tile, weight=(weight / cut_tile(total, tile)).float())
        for tile, weight in zip(tiles, raw, strict=True)
    ]


def both_axes(size: TileSize) -> tuple[int, int]:
    """Return the height and the width that a size stands for.

    Args:
        size: one number for both axes, or one for each.
    """
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def check_tile(tile: TileSize, least: int, method: str) -> None:
    """Refuse tiles that are too small for a method.

    Args:
        tile: side of a tile, or height and width; 0 for no tiles.
        least: smallest side.
        method: its name, and the option that the rule follows from.

    Raises:
        ValueError: naming the option, the rule and the value.
    """
    if 0 < min(both_axes(tile)) < least:
        raise ValueError(
            f'`tile` must be 0 or at least {least} for {method}, got {tile}'
        )


def cut_tile(x: Tensor, tile: Tile, up: int = 1, down: int = 1) -> Tensor:
    """Cut a tile out of frames, as a view.

    Args:
        x: frames, (..., H, W).
        tile: planned for frames whose sides are down / up times as long.
        up: see `tile`.
        down: see `tile`.
    """
    rows = slice(tile.top * up // down, tile.bottom * up // down)
    columns = slice(tile.left * up // down, tile.right * up // down)
    return x[..., rows, columns]


def stitch_tiles(pieces: Iterable[Tensor], tiles: list[Tile]) -> Tensor:
    """Sum the weighted tiles in float32, on the device of the first one.

    Args:
        pieces: pixels of each tile, (..., h, w); may be an iterator.
        tiles: result of `plan_tiles` for the frames.

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
