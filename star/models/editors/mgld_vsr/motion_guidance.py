"""Guidance of latents by motion, Yang et al., ECCV 2024, section 3.2.

After each step of the sampler the latents take a step down the gradient of
a loss: the distance of each frame from its neighbours, warped onto it.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from star.models.editors.mgld_vsr.flows import Motion
from star.models.layers.warp import flow_warp

GUIDANCES = ('published', 'intended', 'none')
RATE = 10.0  # times the logarithm of the posterior variance


def guide(
    z: Tensor, motion: Motion, log_variance: float, kind: str = 'published'
) -> Tensor:
    """Move latents towards those of neighbouring frames.

    Args:
        z: latents of consecutive frames, (t, C, h, w).
        motion: of the frames, on the same grid.
        log_variance: of the sampler's step, negative: the rate of the descent
            is `RATE` times its size.
        kind: see `motion_loss`; 'none' moves nothing.

    Returns:
        (t, C, h, w), of the dtype of `z`.
    """
    if kind == 'none' or len(z) < 2:
        return z
    _, gradient = motion_gradient(z, motion, kind)
    return (z + RATE * log_variance * gradient).to(z.dtype)


def motion_gradient(
    z: Tensor, motion: Motion, kind: str = 'published'
) -> tuple[Tensor, Tensor]:
    """Compute the loss and its gradient, also in inference mode.

    Args:
        z: (t, C, h, w).
        motion: of the frames.
        kind: see `motion_loss`.

    Returns:
        The loss, a scalar, and (t, C, h, w); float32.
    """
    with torch.inference_mode(False), torch.enable_grad():
        # copies: autograd refuses what was computed in inference mode
        latents = z.detach().float().clone().requires_grad_()
        fresh = Motion(*(x.detach().float().clone() for x in motion))
        loss = motion_loss(latents, fresh, kind)
        (gradient,) = torch.autograd.grad(loss, latents)
    return loss.detach(), gradient


def motion_loss(z: Tensor, motion: Motion, kind: str = 'published') -> Tensor:
    """Measure how far frames are from their neighbours, warped onto them.

    For each frame and each of its neighbours, the mean of |difference| over
    channels and pixels; pixels that the neighbour does not show count as 0.

    Args:
        z: (t, C, h, w), t >= 2.
        motion: of the frames.
        kind: 'intended' warps a neighbour by the flow from the frame to it.
            'published' is what the official code computes, with which the
            paper's numbers were made: it warps a neighbour by that
            neighbour's own flow onwards, and where there is none, at the
            ends, it compares with zeros.

    Returns:
        A scalar.
    """
    pairs = _published(z, motion) if kind == 'published' else _meant(z, motion)
    terms = [
        ((1 - lost) * (neighbour - frame)).abs().mean()
        for frame, neighbour, lost in pairs
    ]
    return torch.stack(terms).sum()


def _meant(
    z: Tensor, motion: Motion
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield frames, their warped neighbours, and what these do not show."""
    for i in range(len(z) - 1):
        yield z[i], _warp(z[i + 1], motion.to_next[i]), motion.lost_next[i]
    for i in range(1, len(z)):
        flow, lost = motion.to_previous[i - 1], motion.lost_previous[i - 1]
        yield z[i], _warp(z[i - 1], flow), lost


def _published(
    z: Tensor, motion: Motion
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the same, off by one as in the official code."""
    nothing, end = torch.zeros_like(z[0]), len(z) - 2
    for i in range(end + 1):
        other = nothing
        if i < end:
            other = _warp(z[i + 1], motion.to_next[i + 1])
        yield z[i], other, motion.lost_next[i]
    for i in range(1, len(z)):
        other = nothing
        if i > 1:
            other = _warp(z[i - 1], motion.to_previous[i - 2])
        yield z[i], other, motion.lost_previous[i - 1]


def _warp(frame: Tensor, flow: Tensor) -> Tensor:
    return flow_warp(frame[None], flow[None])[0]
