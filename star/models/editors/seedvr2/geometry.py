"""Sizes on SeedVR2's way: enlargement, padding, and the official crop."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

MULTIPLE = 16  # of the sides that the networks see

Size = tuple[int, int]


class CentrePart(NamedTuple):
    """A rectangle in the middle of a frame.

    Args:
        top: rows above it.
        left: columns before it.
        height: its rows.
        width: its columns.
    """

    top: int
    left: int
    height: int
    width: int

    def cut(self, x: Tensor) -> Tensor:
        """Cut it out of frames (..., H, W), as a view."""
        rows = slice(self.top, self.top + self.height)
        return x[..., rows, self.left : self.left + self.width]


def centre_crop(size: Size) -> CentrePart:
    """Find the largest centred rectangle that the networks accept.

    Raises:
        ValueError: a side is shorter than `MULTIPLE`.
    """
    if min(size) < MULTIPLE:
        raise ValueError(
            f'results must have sides of at least {MULTIPLE} pixels with '
            f"compat='official', got {size[0]}x{size[1]}"
        )
    height, width = (side - side % MULTIPLE for side in size)
    top, left = round((size[0] - height) / 2), round((size[1] - width) / 2)
    return CentrePart(top, left, height, width)


def resize(frames: Tensor, size: Size) -> Tensor:
    """Resize frames, whether up or down.

    Args:
        frames: (t, 3, h, w) in [-1, 1].
        size: height and width.

    Returns:
        (t, 3, H, W), clamped.
    """
    unit = frames / 2 + 0.5
    large = F.interpolate(unit, size, mode='bicubic', antialias=True)
    return (large.clamp(0, 1) - 0.5) / 0.5


def lengthen(clip: Tensor, unit: int = 4) -> Tensor:
    """Repeat the last frame until a clip has k `unit` + 1 frames.

    Args:
        clip: (t, ...); a single frame stays.
        unit: frames of a latent, times those of a parallel group.
    """
    length = len(clip)
    if length == 1:
        return clip
    wanted = max(unit, math.ceil((length - 1) / unit) * unit) + 1
    tail = clip[-1:].expand(wanted - length, *clip.shape[1:])
    return torch.cat([clip, tail])
