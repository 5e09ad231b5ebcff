"""Propagate latents along optical flow, forth and back, without training."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from star.models.layers.warp import flow_warp


@dataclass(frozen=True)
class PropagationRule:
    """The rule by which frames take from their neighbours.

    The defaults are those of the published restorations.

    Args:
        mode: 'nearest' or 'bilinear' fetching of latents; flows are always
            compared bilinearly.
        share: what a frame takes from its neighbour where the flow is valid,
            (0, 1]; 1 copies.
        relative: the square of the error of a valid flow may reach this share
            of the squared flows ...
        absolute: ... and this many squared pixels.
    """

    mode: str = 'nearest'
    share: float = 0.5
    relative: float = 0.001
    absolute: float = 0.05


def fit_flows(flows: Tensor, size: tuple[int, int]) -> Tensor:
    """Shrink flows to the size of the latents.

    Args:
        flows: (t, 2, H, W) in pixels, x first.
        size: h and w of the latents.

    Returns:
        (t, 2, h, w) in pixels of that size: both components are scaled by
        w / W, as published.
    """
    if tuple(flows.shape[-2:]) == size:
        return flows
    scale = size[1] / flows.shape[-1]
    return F.interpolate(flows, size, mode='area') * scale


def find_valid(flow: Tensor, back: Tensor, rule: PropagationRule) -> Tensor:
    """Return where a flow and the flow back agree.

    |f + b'|^2 < relative (|f|^2 + |b'|^2) + absolute, with b' the flow back
    at the place to which f points.

    Args:
        flow: (N, 2, h, w) in pixels.
        back: of the same shape, from the other frame.
        rule: names the two bounds.

    Returns:
        (N, 1, h, w) of 0 and 1, like `flow`.
    """
    back = flow_warp(back, _precise(flow))
    error = (flow + back).square().sum(1, keepdim=True)
    length = flow.square().sum(1, keepdim=True)
    length = length + back.square().sum(1, keepdim=True)
    return (error < rule.relative * length + rule.absolute).to(flow)


class Propagation:
    """Passes on latents from the last frame to the first, then forth.

    Args:
        forward: flows from frame i to i + 1, (t - 1, 2, H, W) in pixels.
        backward: flows from frame i + 1 to i, of the same shape.
        size: h and w of the latents.
        rule: how frames pass on what they hold.

    Attributes:
        valid_forward: where `forward` is valid, (t - 1, 1, h, w).
        valid_backward: where `backward` is.
    """

    def __init__(
        self,
        forward: Tensor,
        backward: Tensor,
        size: tuple[int, int],
        rule: PropagationRule = PropagationRule(),
    ) -> None:
        self.rule = rule
        self.forward = fit_flows(forward, size)
        self.backward = fit_flows(backward, size)
        self.valid_forward = find_valid(self.forward, self.backward, rule)
        self.valid_backward = find_valid(self.backward, self.forward, rule)

    def __call__(self, x: Tensor) -> Tensor:
        """Propagate latents, (1, C, t, h, w) float, and return them."""
        frames = list(x[0].unbind(1))
        last = len(frames) - 1
        for i in reversed(range(last)):
            flow, valid = self.forward[i], self.valid_forward[i]
            frames[i] = self._take(frames[i], frames[i + 1], flow, valid)
        for i in range(1, last + 1):
            flow, valid = self.backward[i - 1], self.valid_backward[i - 1]
            frames[i] = self._take(frames[i], frames[i - 1], flow, valid)
        return torch.stack(frames, 1)[None]

    def _take(
        self, frame: Tensor, other: Tensor, flow: Tensor, valid: Tensor
    ) -> Tensor:
        """Take from another frame, (C, h, w), what the flow points to."""
        way = _precise(flow[None])
        warped = flow_warp(other[None], way, mode=self.rule.mode)[0]
        share = self.rule.share
        mixed = share * warped + (1 - share) * frame
        return valid * mixed + (1 - valid) * frame


def _precise(flow: Tensor) -> Tensor:
    """Let positions be computed in float64, where the device has it."""
    return flow if flow.device.type == 'mps' else flow.double()
