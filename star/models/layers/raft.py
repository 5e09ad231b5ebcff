"""Optical flow by RAFT for methods that follow motion."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.perceptual.raft import (
    LEAST_SIDE,
    build_raft,
    encode_frames,
    match_frames,
    to_torchvision,
)


class RAFTFlow(nn.Module):
    """Estimates the optical flow between frames, with the large RAFT.

    It takes any size: sides grow to multiples of 8, and to at least 128, by
    replicated borders on both sides, as the authors of RAFT do for Sintel,
    and the flow is cropped. It stays in evaluation mode, without gradients,
    and is meant to stay in float32.
    """

    raft: Any  # torchvision's network, for its parts

    def __init__(self) -> None:
        super().__init__()
        self.raft = build_raft('large')
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: its norms use their stored statistics."""
        return super().train(False)

    @torch.no_grad()
    def forward(
        self, image1: Tensor, image2: Tensor, iterations: int = 20
    ) -> Tensor:
        """Estimate the flow from frames to others.

        Args:
            image1: (N, 3, H, W) RGB in [-1, 1], the range of its training.
                It is not checked: one method gives [0, 1].
            image2: of the same shape.
            iterations: updates of the flow.

        Returns:
            Displacements in pixels, (N, 2, H, W), x first: what `image1`
            shows at p is in `image2` at p + flow.
        """
        borders = plan_borders(*image1.shape[-2:])
        first, second = (
            encode_frames(self.raft, self._prepare(image, borders))
            for image in (image1, image2)
        )
        flow = match_frames(self.raft, first, second.features, iterations)
        return _crop(flow, borders)

    @torch.no_grad()
    def both_ways(
        self, clip: Tensor, iterations: int = 20
    ) -> tuple[Tensor, Tensor]:
        """Estimate the flows between consecutive frames, pair by pair.

        Args:
            clip: (T, 3, H, W), as for `forward`.
            iterations: updates of the flow.

        Returns:
            Flows from frame i to i + 1 and from i + 1 to i, each
            (T - 1, 2, H, W).
        """
        borders = plan_borders(*clip.shape[-2:])
        size = (0, 2, *clip.shape[-2:])
        ways = [clip.new_empty(size)], [clip.new_empty(size)]
        before = None
        for frame in clip.split(1):
            codes = encode_frames(self.raft, self._prepare(frame, borders))
            if before is not None:
                pairs = (before, codes), (codes, before)
                for way, (one, other) in zip(ways, pairs, strict=True):
                    flow = match_frames(
                        self.raft, one, other.features, iterations
                    )
                    way.append(_crop(flow, borders))
            before = codes
        return torch.cat(ways[0]), torch.cat(ways[1])

    def _prepare(self, x: Tensor, borders: tuple[int, ...]) -> Tensor:
        return F.pad(x.to(next(self.parameters())), borders, 'replicate')


def name_raft_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of a RAFT file the names of `RAFTFlow`.

    Args:
        state: of the original repository (`raft-things.pth`, with or without
            'module.'), of torchvision, or of `RAFTFlow`.
    """
    if all(name.startswith('raft.') for name in state):
        return dict(state)
    found = to_torchvision(dict(state))
    return {f'raft.{name}': tensor for name, tensor in found.items()}


def plan_borders(height: int, width: int) -> tuple[int, int, int, int]:
    """Plan the borders that RAFT needs: left, right, top, bottom."""
    found: list[int] = []
    for side in (width, height):
        extra = max(-(-side // 8) * 8, LEAST_SIDE) - side
        found += [extra // 2, extra - extra // 2]
    left, right, top, bottom = found
    return left, right, top, bottom


def _crop(flow: Tensor, borders: tuple[int, int, int, int]) -> Tensor:
    left, right, top, bottom = borders
    height, width = flow.shape[-2:]
    return flow[..., top : height - bottom, left : width - right]
