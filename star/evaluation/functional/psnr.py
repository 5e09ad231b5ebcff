"""Peak signal-to-noise ratio."""

import torch
from torch import Tensor

from star.evaluation.functional.clips import (
    check_channel,
    check_pair,
    crop_border,
    luma_weights,
)

_PEAK = 255.0


def psnr(
    pred: Tensor, gt: Tensor, channel: str = 'rgb', border: int = 0
) -> float:
    """Average the PSNR of a clip's frames.

    Args:
        pred: restored clip, (T, 3, H, W) uint8 RGB.
        gt: ground truth of the same shape.
        channel: 'rgb', one error over all three, or 'y', the luma of BT.601.
        border: pixels to leave out at each side.

    Returns:
        dB; infinite if the two clips have an equal frame.

    Raises:
        ValueError: clips that cannot be compared, or a wrong option.
    """
    return float(psnr_frames(pred, gt, channel, border).mean())


def psnr_frames(
    pred: Tensor, gt: Tensor, channel: str = 'rgb', border: int = 0
) -> Tensor:
    """Compute the PSNR of each frame.

    Args:
        pred: as for `psnr`.
        gt: as for `psnr`.
        channel: as for `psnr`.
        border: as for `psnr`.

    Returns:
        dB, (T,) float64.

    Raises:
        ValueError: as for `psnr`.
    """
    check_pair(pred, gt)
    check_channel(channel)
    pred, gt = crop_border(pred, border), crop_border(gt, border)
    errors = [_error(a, b, channel) for a, b in zip(pred, gt, strict=True)]
    return 10 * torch.log10(_PEAK**2 / torch.stack(errors))


def _error(a: Tensor, b: Tensor, channel: str) -> Tensor:
    """Average the squared difference of two frames, (3, H, W) uint8."""
    # luma is linear: the difference is taken first, in integers
    difference = (a.short() - b.short()).flatten(1).double()
    if channel != 'rgb':
        difference = luma_weights().to(a.device) @ difference
    flat = difference.flatten()
    return flat.dot(flat) / len(flat)
