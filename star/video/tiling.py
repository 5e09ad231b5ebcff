"""Overlapping tiles in space, and the weights that stitch them."""

from dataclasses import dataclass

from torch import Tensor

from star.video.chunking import blend_weights, plan_windows


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
    size: int,
    overlap: int,
    multiple: tuple[int, int] = (1, 1),
    remainder: tuple[int, int] = (0, 0),
) -> list[Tile]:
    """Cover a frame with tiles whose weights sum to 1 at each pixel.

    Args:
        height: rows of the frame.
        width: columns of the frame.
        size: side of a tile; per axis it becomes the largest allowed side
            that is no longer. A frame's axis no longer than `size` is
            spanned by one tile, whatever its length.
        overlap: least number of pixels that neighbours share.
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
    rows = _plan_axis(height, size, overlap, multiple[0], remainder[0])
    columns = _plan_axis(width, size, overlap, multiple[1], remainder[1])
    row_weights = blend_weights(height, rows, 'smooth')
    column_weights = blend_weights(width, columns, 'smooth')
    return [
        Tile(top, bottom, left, right, row_weight[:, None] * column_weight)
        for (top, bottom), row_weight in zip(rows, row_weights, strict=True)
        for (left, right), column_weight in zip(
            columns, column_weights, strict=True
        )
    ]


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
