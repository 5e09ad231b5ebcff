"""Structural similarity, Wang et al. 2004, with the window of the paper.

A Gaussian of 11 x 11 pixels and deviation 1.5; valid region only, no
downsampling.
"""

import math

import torch
from torch import Tensor

from star.evaluation.functional.clips import (
    check_pair,
    crop_border,
    to_channel,
)

_RADIUS, _SIGMA = 5, 1.5
_SIZE = 2 * _RADIUS + 1
_BELL = [
    math.exp(-((i - _RADIUS) ** 2) / (2 * _SIGMA**2)) for i in range(_SIZE)
]
_WINDOW = [value / math.fsum(_BELL) for value in _BELL]
CHANNELS = ('rgb', 'y', 'yiq')
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(
    pred: Tensor, gt: Tensor, channel: str = 'rgb', border: int = 0
) -> float:
    """Average the SSIM of a clip's frames.

    Args:
        pred: restored clip, (T, 3, H, W) uint8 RGB, sides of at least 11.
        gt: ground truth of the same shape.
        channel: 'rgb', the mean of three; 'y', the luma of BT.601; or 'yiq',
            that of YIQ as pyiqa has it: full range, rounded, and
            contrast-structure terms below 0 count as 0.
        border: pixels to leave out at each side.

    Returns:
        At most 1; equal clips have 1.

    Raises:
        ValueError: clips that cannot be compared, or a wrong option.
    """
    return float(ssim_frames(pred, gt, channel, border).mean())


def ssim_frames(
    pred: Tensor, gt: Tensor, channel: str = 'rgb', border: int = 0
) -> Tensor:
    """Compute the SSIM of each frame.

    Args:
        pred: as for `ssim`.
        gt: as for `ssim`.
        channel: as for `ssim`.
        border: as for `ssim`.

    Returns:
        (T,) float64.

    Raises:
        ValueError: as for `ssim`.
    """
    check_pair(pred, gt)
    check_ssim_channel(channel)
    pred, gt = crop_border(pred, border), crop_border(gt, border)
    if min(pred.shape[-2:]) < _SIZE:
        raise ValueError(
            f'frames must have sides of at least {_SIZE} pixels for SSIM, '
            f'got {pred.shape[-2]}x{pred.shape[-1]}'
        )
    scores = [
        _frame(_planes(a, channel), _planes(b, channel), channel == 'yiq')
        for a, b in zip(pred, gt, strict=True)
    ]
    return torch.stack(scores)


def check_ssim_channel(channel: str) -> None:
    """Refuse an unknown channel.

    Raises:
        ValueError: it is none of `CHANNELS`.
    """
    if channel not in CHANNELS:
        raise ValueError(
            f"`channel` must be 'rgb', 'y' or 'yiq', got {channel!r}"
        )


def _planes(frame: Tensor, channel: str) -> Tensor:
    """Convert (3, H, W) uint8 to what is compared, (C, H, W) float64."""
    if channel != 'yiq':
        return to_channel(frame[None], channel)[0]
    # pyiqa converts and rounds in float32
    red, green, blue = frame.float() / 255
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return (luma * 255).round().double()[None]


def _frame(x: Tensor, y: Tensor, clamp: bool) -> Tensor:
    """Average the map of one frame, (C, H, W) float64."""
    # the variances are only needed as a sum
    mean_x, mean_y, squares, xy = map(_blur, (x, y, x * x + y * y, x * y))
    mean_xy, mean_squares = mean_x * mean_y, mean_x**2 + mean_y**2
    luminance = (2 * mean_xy + _C1) / (mean_squares + _C1)
    structure = (2 * (xy - mean_xy) + _C2) / (squares - mean_squares + _C2)
    if clamp:
        structure = structure.clamp(min=0)
    return (luminance * structure).mean()


def _blur(maps: Tensor) -> Tensor:
    """Filter (C, H, W) along rows and columns, valid region only."""
    return _blur_along(_blur_along(maps, -2), -1)


def _blur_along(maps: Tensor, dim: int) -> Tensor:
    """Add shifted maps: 20 times as fast as a convolution in float64."""
    size = maps.shape[dim] - 2 * _RADIUS
    total = maps.narrow(dim, _RADIUS, size) * _WINDOW[_RADIUS]
    for i, weight in enumerate(_WINDOW[:_RADIUS]):
        for start in (i, 2 * _RADIUS - i):
            total.add_(maps.narrow(dim, start, size), alpha=weight)
    return total
