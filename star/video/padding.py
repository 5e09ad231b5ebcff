"""Pad frames to sizes that a network accepts, and crop back."""

import torch
from torch import Tensor
from torch.nn import functional as F

OFFICIAL_SIZE = (720, 1280)
_OFFICIAL_MULTIPLE = 64
_WHITE = 1.0


def pad_amount(
    height: int,
    width: int,
    multiple: tuple[int, int],
    remainder: tuple[int, int],
) -> tuple[int, int]:
    """Compute the least padding to size k * multiple + remainder.

    Args:
        height: rows, >= 1.
        width: columns, >= 1.
        multiple: of (height, width), >= 1.
        remainder: of (height, width), in [0, multiple).

    Returns:
        Rows to add at the bottom, columns to add at the right.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_size(height, width)
    for m, r in zip(multiple, remainder, strict=True):
        if not 0 <= r < m:
            raise ValueError(
                '`remainder` must lie in [0, multiple), got '
                f'{tuple(remainder)} at multiple {tuple(multiple)}'
            )
    bottom = (remainder[0] - height) % multiple[0]
    right = (remainder[1] - width) % multiple[1]
    return bottom, right


def pad_replicate(x: Tensor, bottom: int, right: int) -> Tensor:
    """Repeat the last row and column.

    Args:
        x: frames of any dtype, (..., H, W).
        bottom: rows to add, >= 0.
        right: columns to add, >= 0.

    Returns:
        Frames, (..., H + bottom, W + right).

    Raises:
        ValueError: a padding is negative.
    """
    if min(bottom, right) < 0:
        raise ValueError(
            f'`bottom` and `right` must not be negative, got {bottom}, {right}'
        )
    if bottom:
        x = torch.cat([x, x[..., -1:, :].repeat_interleave(bottom, -2)], -2)
    if right:
        x = torch.cat([x, x[..., -1:].repeat_interleave(right, -1)], -1)
    return x


def pad_reflect(x: Tensor, bottom: int, right: int) -> Tensor:
    """Mirror the last rows and columns; the edge itself is not doubled.

    A frame with a side that is no longer than its padding cannot be mirrored:
    `pad_replicate` pads it.

    Args:
        x: frames, (N, C, H, W).
        bottom: rows to add, >= 0.
        right: columns to add, >= 0.

    Returns:
        Frames, (N, C, H + bottom, W + right).

    Raises:
        ValueError: a padding is negative.
    """
    possible = 0 <= bottom < x.shape[-2] and 0 <= right < x.shape[-1]
    if possible:
        return F.pad(x, (0, right, 0, bottom), 'reflect')
    return pad_replicate(x, bottom, right)


def crop(
    x: Tensor, height: int, width: int, top: int = 0, left: int = 0
) -> Tensor:
    """Cut out a rectangle, by default at the top left.

    Args:
        x: frames, (..., H, W).
        height: rows to keep.
        width: columns to keep.
        top: rows to skip.
        left: columns to skip.

    Raises:
        ValueError: the rectangle does not lie inside the frame.
    """
    bottom, right = top + height, left + width
    inside = 0 <= top < bottom <= x.shape[-2] and (
        0 <= left < right <= x.shape[-1]
    )
    if not inside:
        raise ValueError(
            f'crop must lie inside {x.shape[-2]}x{x.shape[-1]}, got rows '
            f'{top}..{bottom} and columns {left}..{right}'
        )
    return x[..., top:bottom, left:right]


def official_padding(height: int, width: int) -> tuple[int, int, int, int]:
    """Compute the official padding of an enlarged frame.

    A height up to 720 or a width up to 1280 is padded to that at both ends.
    A longer side is padded at the bottom or right to 720 or 1280 plus a
    multiple of 64; a side of such a length gets 64 more.

    Returns:
        Pixels (left, right, top, bottom).

    Raises:
        ValueError: a side is not positive.
    """
    _check_size(height, width)
    top, bottom = _official_axis(height, OFFICIAL_SIZE[0])
    left, right = _official_axis(width, OFFICIAL_SIZE[1])
    return left, right, top, bottom


def pad_official(x: Tensor) -> Tensor:
    """Pad in white by `official_padding`.

    Args:
        x: frames in [-1, 1], (..., H, W).
    """
    return F.pad(x, official_padding(*x.shape[-2:]), value=_WHITE)


def _official_axis(size: int, base: int) -> tuple[int, int]:
    if size <= base:
        before = (base - size) // 2
        return before, base - size - before
    return 0, _OFFICIAL_MULTIPLE - (size - base) % _OFFICIAL_MULTIPLE


def _check_size(height: int, width: int) -> None:
    if min(height, width) < 1:
        raise ValueError(
            f'`height` and `width` must be at least 1, got {height}, {width}'
        )
