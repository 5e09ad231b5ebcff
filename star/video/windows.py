"""Overlapping windows in time, and the weights that blend them."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from star.utils.checks import check_least


def plan_windows(
    length: int, size: int, overlap: int
) -> list[tuple[int, int]]:
    """Cover a length with windows of equal size.

    Args:
        length: frames (or rows) to cover, >= 1.
        size: of a window, >= 1.
        overlap: least number of frames that neighbours share, < size.

    Returns:
        Windows [start, end) in order, each `size` long; the last one is
        moved back to end at `length`. One window (0, length) if `length` is
        at most `size`.

    Raises:
        ValueError: an argument is out of range.
    """
    check_least('length', length, 1)
    check_least('size', size, 1)
    if not 0 <= overlap < size:
        raise ValueError(
            f'`overlap` must lie in [0, size), got {overlap} at size {size}'
        )
    if length <= size:
        return [(0, length)]
    starts = [*range(0, length - size, size - overlap), length - size]
    return [(start, start + size) for start in starts]


def official_windows(length: int, size: int) -> list[tuple[int, int]]:
    """Cover a length as the official code does: half overlap, last longer.

    Neighbours share size // 2 frames; the rest becomes one window once it has
    at most 1.25 `size` frames. The official code fails if that holds from
    the start (`size` < `length` <= 1.25 `size`); here it gives one window.

    Raises:
        ValueError: an argument is not positive.
    """
    check_least('length', length, 1)
    check_least('size', size, 1)
    windows, start = [], 0
    while 4 * (length - start) > 5 * size:
        windows.append((start, start + size))
        start += size - size // 2
    return [*windows, (start, length)]


def blend_weights(
    length: int, windows: Sequence[tuple[int, int]], mode: str
) -> list[Tensor]:
    """Compute weights of windows that sum to 1 at every position.

    Args:
        length: number of positions that the windows cover.
        windows: [start, end) in order, starts and ends increasing, without
            gaps from 0 to `length`.
        mode: 'cut' for weights of 0 and 1 that change at the middle of each
            overlap; 'smooth' for cosine ramps over the overlaps.

    Returns:
        One float32 vector per window, as long as the window.

    Raises:
        ValueError: `mode` is unknown, or the windows do not cover `length`.
    """
    if mode not in ('cut', 'smooth'):
        raise ValueError(f"`mode` must be 'cut' or 'smooth', got '{mode}'")
    _check_windows(length, windows)
    if mode == 'cut':
        return _cut_weights(windows)
    raw = _ramp_weights(windows)
    total = torch.zeros(length, dtype=torch.float64)
    for (start, end), weight in zip(windows, raw, strict=True):
        total[start:end] += weight
    return [
        (weight / total[start:end]).float()
        for (start, end), weight in zip(windows, raw, strict=True)
    ]


def _cut_weights(windows: Sequence[tuple[int, int]]) -> list[Tensor]:
    cuts = [0, *((a[1] + b[0]) // 2 for a, b in pairwise(windows))]
    cuts.append(windows[-1][1])
    weights = []
    for i, (start, end) in enumerate(windows):
        weight = torch.zeros(end - start)
        weight[cuts[i] - start : cuts[i + 1] - start] = 1
        weights.append(weight)
    return weights


def _ramp_weights(windows: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Compute weights with a ramp over each overlap, not normalised."""
    weights = [
        torch.ones(end - start, dtype=torch.float64) for start, end in windows
    ]
    for i, (a, b) in enumerate(pairwise(windows)):
        overlap = a[1] - b[0]
        if overlap > 0:
            ramp = _ramp(overlap)
            weights[i][-overlap:] *= ramp.flip(0)
            weights[i + 1][:overlap] *= ramp
    return weights


def _ramp(length: int) -> Tensor:
    """Compute a ramp from 0 to 1; it and its mirror image sum to 1."""
    x = (torch.arange(length, dtype=torch.float64) + 0.5) / length
    return torch.sin(x * (math.pi / 2)).square()


def _check_windows(length: int, windows: Sequence[tuple[int, int]]) -> None:
    good = (
        len(windows) > 0
        and windows[0][0] == 0
        and windows[-1][1] == length
        and all(start < end for start, end in windows)
        and all(a[0] < b[0] <= a[1] < b[1] for a, b in pairwise(windows))
    )
    if not good:
        raise ValueError(
            f'`windows` must cover [0, {length}) in order and without gaps, '
            f'got {list(windows)}'
        )
