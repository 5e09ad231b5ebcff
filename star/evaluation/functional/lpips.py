"""Learned perceptual image patch similarity, Zhang et al. 2018."""

import warnings

import torch
from torch import Tensor, nn

from star import compat
from star.evaluation.functional.clips import check_pair, crop_border
from star.evaluation.weights import downloading, fill, load_state

NETWORKS = ('alex', 'vgg', 'squeeze')


def lpips(
    network: nn.Module,
    pred: Tensor,
    gt: Tensor,
    border: int = 0,
    every: int = 1,
) -> float:
    """Average the LPIPS distance of a clip's frames.

    Args:
        network: from `load_lpips`; frames are moved to its device.
        pred: restored clip, (T, 3, H, W) uint8 RGB.
        gt: ground truth, the same.
        border: pixels left out at each side.
        every: only frames 0, every, 2 * every ... are measured.

    Returns:
        0 for equal clips; more is worse.

    Raises:
        ValueError: clips that cannot be compared, or a wrong option.
    """
    return float(lpips_frames(network, pred, gt, border, every).mean())


def lpips_frames(
    network: nn.Module,
    pred: Tensor,
    gt: Tensor,
    border: int = 0,
    every: int = 1,
) -> Tensor:
    """Compute the LPIPS distance of frames, one after the other.

    Args:
        network: as for `lpips`.
        pred: likewise.
        gt: likewise.
        border: likewise.
        every: likewise.

    Returns:
        One for each measured frame, float64.

    Raises:
        ValueError: as for `lpips`.
    """
    check_pair(pred, gt)
    if every < 1:
        raise ValueError(f'`every` must be at least 1, got {every}')
    pred, gt = crop_border(pred, border), crop_border(gt, border)
    device = next(network.parameters()).device
    scores = []
    with torch.no_grad():
        for a, b in zip(pred[::every], gt[::every], strict=True):
            pair = torch.stack([a, b]).to(device).float() / 127.5 - 1
            scores.append(network(pair[:1], pair[1:]).double().cpu().view(()))
    return torch.stack(scores)


def load_lpips(weights: str | None = None, net: str = 'squeeze') -> nn.Module:
    """Build the network of version 0.1 through the package `lpips`.

    Args:
        weights: state dict of `lpips.LPIPS(net=...)`, trunk and heads; see
            tools/model_converters/convert_lpips.py. None lets the package
            download the trunk.
        net: 'alex', 'vgg' or 'squeeze'.

    Returns:
        A module that takes two batches (N, 3, H, W) in [-1, 1]; in
        evaluation mode, without gradients for its parameters.

    Raises:
        ValueError: unknown `net`, or a file that does not fit.
        ImportError: `lpips` is not installed; it comes with `metrics`.
    """
    if net not in NETWORKS:
        raise ValueError(
            f'`net` must be one of {", ".join(NETWORKS)}, got {net!r}'
        )
    state = None if weights is None else load_state(weights)
    package = compat.require('lpips', 'metrics')
    compat.allow_missing_torchvision_operators()
    with (
        downloading(f'LPIPS ({net})'),
        warnings.catch_warnings(),
        torch.random.fork_rng(),
    ):
        warnings.simplefilter('ignore')  # lpips uses torchvision's old words
        network = package.LPIPS(
            net=net,
            pretrained=state is None,
            pnet_rand=state is not None,
            verbose=False,
        )
    if state is not None:
        fill(network, state, str(weights))
    return network.requires_grad_(False).eval()
