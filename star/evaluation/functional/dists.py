"""Deep image structure and texture similarity, Ding et al. 2020."""

import torch
from torch import Tensor

from star.evaluation.functional.clips import check_pair, crop_border
from star.evaluation.networks.dists import DISTSNetwork


@torch.no_grad()
def dists_frames(
    network: DISTSNetwork, pred: Tensor, gt: Tensor, border: int = 0
) -> Tensor:
    """Compute the DISTS distance of frames at full size, one by one.

    Args:
        network: from `load_dists`; frames are moved to its device.
        pred: restored clip, (T, 3, H, W) uint8 RGB.
        gt: ground truth of the same shape.
        border: pixels to leave out at each side.

    Returns:
        (T,) float64; 0 for equal frames, less is better.

    Raises:
        ValueError: clips that cannot be compared, or a wrong option.
    """
    check_pair(pred, gt)
    pred, gt = crop_border(pred, border), crop_border(gt, border)
    device = network.alpha.device
    scores = []
    for a, b in zip(pred, gt, strict=True):
        pair = torch.stack([a, b]).to(device).float() / 255
        scores.append(network(pair[:1], pair[1:]).cpu()[0])
    return torch.stack(scores)
