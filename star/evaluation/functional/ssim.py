"""Structural similarity, Wang et al. 2004, with the original's window.

11 x 11 Gaussian of deviation 1.5, valid region only, no downsampling.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from star.evaluation.functional.clips import (
    check_pair,
    crop_border,
    to_channel,
)

_SIZE, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(
    pred: Tensor, gt: Tensor, channel: str = 'rgb', border: int = 0
) -> float:
    """Average the SSIM of a clip's frames.

    Args:
        pred: restored clip, (T, 3, H, W) uint8 RGB, sides of at least 11.
        gt: ground truth, the same.
        channel: 'rgb', the mean of three, or 'y', the luma of BT.601.
        border: pixels left out at each side.

    Returns:
        At most 1, for equal clips.

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
        gt: likewise.
        channel: likewise.
        border: likewise.

    Returns:
        (T,) float64.

    Raises:
        ValueError: as for `ssim`.
    """
    check_pair(pred, gt)
    pred, gt = crop_border(pred, border), crop_border(gt, border)
    if min(pred.shape[-2:]) < _SIZE:
        raise ValueError(
            f'frames must have sides of at least {_SIZE} pixels for SSIM, '
            f'got {pred.shape[-2]}x{pred.shape[-1]}'
        )
    scores = [
        _frame(
            to_channel(a[None], channel)[0], to_channel(b[None], channel)[0]
        )
        for a, b in zip(pred, gt, strict=True)
    ]
    return torch.stack(scores)


def _frame(x: Tensor, y: Tensor) -> Tensor:
    """Average the map of one frame, (C, H, W) float64."""
    moments = torch.stack([x, y, x * x, y * y, x * y])
    mean_x, mean_y, xx, yy, xy = _blur(moments)
    var_x, var_y = xx - mean_x**2, yy - mean_y**2
    covariance = xy - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (var_x + var_y + _C2)
    return (luminance * structure).mean()


def _blur(maps: Tensor) -> Tensor:
    """Filter (N, C, H, W) along rows and columns, valid region only."""
    places = torch.arange(_SIZE, dtype=maps.dtype, device=maps.device)
    window = torch.exp(-((places - _SIZE // 2) ** 2) / (2 * _SIGMA**2))
    window = (window / window.sum()).view(1, 1, -1, 1)
    shape = maps.shape
    flat = maps.reshape(-1, 1, *shape[-2:])
    flat = F.conv2d(F.conv2d(flat, window), window.transpose(2, 3))
    return flat.view(*shape[:2], *flat.shape[-2:])
