"""Rotary positions of SeedVR2's two transformers, which restart per window.

Both rotate pairs of neighbouring channels, in blocks for time, rows and
columns; channels that are left over stay as they are.
"""

import math

import torch
from torch import Tensor

LANGUAGE, PIXEL = 'language', 'pixel'
_BASE = 10_000.0
_MOST = 128.0  # half turns of the fastest pixel frequency across a window

Size = tuple[int, int, int]


def language_frequencies(head_dim: int) -> Tensor:
    """Return the frequencies of an axis, falling from 1, in float32."""
    channels = head_dim // 3
    steps = torch.arange(0, channels, 2, dtype=torch.float32)
    return 1.0 / _BASE ** (steps[: channels // 2] / channels)


def pixel_frequencies(head_dim: int) -> Tensor:
    """Return the frequencies of an axis, rising from pi, in float32."""
    count = head_dim // 2 // 3 // 2
    return torch.linspace(1.0, _MOST, count) * math.pi


def language_angles(size: Size, text_length: int, head_dim: int) -> Tensor:
    """Return the angles of a window's tokens, which follow the text.

    Args:
        size: frames, rows and columns of the window.
        text_length: tokens of the text, where time begins.
        head_dim: channels of a head.

    Returns:
        (T H W, channels that rotate) float32.
    """
    frames, rows, columns = (torch.arange(n).float() for n in size)
    axes = [frames + text_length, rows, columns]
    return _combine(axes, language_frequencies(head_dim))


def text_angles(length: int, head_dim: int) -> Tensor:
    """Return the angles of a text's tokens: its place on all three axes.

    Returns:
        (L, channels that rotate) float32.
    """
    turned = _turn(torch.arange(length), language_frequencies(head_dim))
    return turned.repeat(1, 3)


def pixel_angles(size: Size, head_dim: int) -> Tensor:
    """Return the angles of a window's tokens, from its own corner on.

    Each axis goes from -1 to 1, whatever the size of the window.

    Args:
        size: frames, rows and columns of the window.
        head_dim: channels of a head.

    Returns:
        (T H W, channels that rotate) float32.
    """
    axes = [torch.linspace(-1, 1, steps) for steps in size]
    return _combine(axes, pixel_frequencies(head_dim))


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Rotate pairs of channels.

    Args:
        x: queries or keys, (..., L, D), at least as wide as `angles`.
        angles: (L, R) float32, equal within each pair.

    Returns:
        (..., L, D) float32.
    """
    turned, rest = x.float().split(
        [angles.shape[-1], x.shape[-1] - angles.shape[-1]], -1
    )
    even, odd = turned.unflatten(-1, (-1, 2)).unbind(-1)
    swapped = torch.stack([-odd, even], -1).flatten(-2)
    turned = turned * angles.cos() + swapped * angles.sin()
    return torch.cat([turned, rest], -1)


def _turn(positions: Tensor, frequencies: Tensor) -> Tensor:
    """Multiply; each angle twice, for the two channels of a pair."""
    return (positions[:, None] * frequencies).repeat_interleave(2, -1)


def _combine(axes: list[Tensor], frequencies: Tensor) -> Tensor:
    t, h, w = (_turn(axis, frequencies) for axis in axes)
    size = len(t), len(h), len(w)
    blocks = [t[:, None, None], h[None, :, None], w[None, None]]
    spread = [block.expand(*size, -1) for block in blocks]
    return torch.cat(spread, -1).flatten(0, 2)
