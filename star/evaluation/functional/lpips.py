"""Learned perceptual image patch similarity, Zhang et al. 2018."""

import torch
from torch import Tensor

from star.evaluation.functional.clips import (
    check_pair,
    crop_border,
)
from star.perceptual.lpips import LPIPSNetwork
from star.utils.checks import check_least


def lpips(
    network: LPIPSNetwork,
    pred: Tensor,
    gt: Tensor,
    border: int = 0,
    every: int = 1,
) -> float:
    """Average the LPIPS distance of a clip's frames.

    Args:
        network: from `load_lpips`; frames are moved to its device.
        pred: restored clip, (T, 3, H, W) uint8 RGB.
        gt: ground truth of the same shape.
        border: pixels to leave out at each side.
        every: measure only frames 0, every, 2 * every ...

    Returns:
        0 for equal clips; less is better.

    Raises:
        ValueError: clips that cannot be compared, or a wrong option.
    """
    return float(lpips_frames(network, pred, gt, border, every).mean())


def lpips_frames(
    network: LPIPSNetwork,
    pred: Tensor,
    gt: Tensor,
    border: int = 0,
    every: int = 1,
) -> Tensor:
    """Compute the LPIPS distance of frames, one after the other.

    Args:
        network: as for `lpips`.
        pred: as for `lpips`.
        gt: as for `lpips`.
        border: as for `lpips`.
        every: as for `lpips`.

    Returns:
        One number for each measured frame, float64.

    Raises:
        ValueError: as for `lpips`.
    """
    check_pair(pred, gt)
    check_least('every', every, 1)
    pred, gt = crop_border(pred, border), crop_border(gt, border)
    device = next(network.parameters()).device
    scores = []
    with torch.no_grad():
        for a, b in zip(pred[::every], gt[::every], strict=True):
            pair = torch.stack([a, b]).to(device).float() / 127.5 - 1
            score = network(pair[:1], pair[1:])
            scores.append(score.double().cpu().view(()))
    return torch.stack(scores)
