"""The motion of low-quality clips, on the grid of their latents."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from star.models.layers.warp import flow_warp

RAFT_SHRINK = 4  # the flow network sees the clip at this part of its size
ITERATIONS = 10  # of the flow network
LATENT = 8  # pixels of a latent
# a pixel is lost where the two flows miss each other by this and more
_SHARE, _LEAST = 0.01, 0.5


class FlowNetwork(Protocol):
    """Estimates the flow between the frames of a clip."""

    def both_ways(
        self, clip: Tensor, iterations: int
    ) -> tuple[Tensor, Tensor]:
        """Estimate the flows to the next frame and to the one before."""


@dataclass(frozen=True)
class Motion:
    """The motion of the pixels of t frames.

    Args:
        to_next: flow from frame i to i + 1, (t - 1, 2, h, w) in pixels.
        to_previous: flow from frame i + 1 to i.
        lost_next: 1 where frame i shows what i + 1 does not, else 0,
            (t - 1, 1, h, w).
        lost_previous: 1 where frame i + 1 shows what i does not.
    """

    to_next: Tensor
    to_previous: Tensor
    lost_next: Tensor
    lost_previous: Tensor

    def cut(self, top: int, left: int, height: int, width: int) -> 'Motion':
        """Cut out a rectangle."""
        rows, columns = slice(top, top + height), slice(left, left + width)
        return Motion(*(x[..., rows, columns] for x in self))

    def __iter__(self) -> Iterator[Tensor]:
        """Yield the four tensors."""
        yield from (
            self.to_next,
            self.to_previous,
            self.lost_next,
            self.lost_previous,
        )


def find_motion(
    network: FlowNetwork, clip: Tensor, normalise: bool = True
) -> Motion:
    """Estimate the motion of a clip that was enlarged four times.

    Args:
        network: RAFT.
        clip: (t, 3, H, W) in [-1, 1], sides multiples of `LATENT`.
        normalise: give the network [-1, 1], the range that it was trained
            with. The official script gives [0, 1].

    Returns:
        The motion on the grid of latents, (H / 8, W / 8), float32.
    """
    height, width = clip.shape[-2:]
    small = F.interpolate(
        clip.float() if normalise else (clip.float() + 1) / 2,
        (height // RAFT_SHRINK, width // RAFT_SHRINK),
        mode='bicubic',
        align_corners=False,
    )
    size = (height // LATENT, width // LATENT)
    to_next, to_previous = network.both_ways(small, ITERATIONS)
    return compare_flows(
        resize_flow(to_next, size), resize_flow(to_previous, size)
    )


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize flows bilinearly; their unit stays the pixel.

    Args:
        flow: (N, 2, h, w), x first.
        size: new height and width.
    """
    height, width = flow.shape[-2:]
    ratios = flow.new_tensor([size[1] / width, size[0] / height])
    resized = F.interpolate(flow, size, mode='bilinear', align_corners=False)
    return resized * ratios.view(1, 2, 1, 1)


def compare_flows(to_next: Tensor, to_previous: Tensor) -> Motion:
    """Find where the flows of two neighbours do not undo each other.

    A pixel is lost where |f + b(f)| > 0.01 (|f| + |b|) + 0.5, with b(f) the
    other flow at the place where f points to. On the right-hand side b is
    taken at the pixel itself, as in the official code.

    Args:
        to_next: (N, 2, h, w), x first.
        to_previous: of the same shape.
    """
    allowed = _SHARE * (_norm(to_next) + _norm(to_previous)) + _LEAST
    lost_next, lost_previous = (
        (_norm(one + flow_warp(other, one)) > allowed).to(one.dtype)
        for one, other in ((to_next, to_previous), (to_previous, to_next))
    )
    return Motion(to_next, to_previous, lost_next, lost_previous)


def _norm(flow: Tensor) -> Tensor:
    return torch.linalg.vector_norm(flow, dim=1, keepdim=True)
