"""Enlargement by a fixed filter, the reference for all other methods."""

import torch
from torch import Tensor

from star.models.data_preprocessor import (
    round_pixels,
    to_float,
    to_pixels,
    upsample_clip,
)
from star.models.editors.base import Baseline
from star.models.editors.recipe import Recipe
from star.registry import MODELS

_LOBES = 3  # of Lanczos's window, on either side


@MODELS.register_module()
class Bicubic(Baseline):
    """Enlarges frames as STARModel enlarges its input.

    Args:
        scale: output size over input size.
    """

    takes_16_bit = True

    def __init__(self, scale: float = 4) -> None:
        super().__init__(Recipe(scale), any_scale=True)

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge frames to a size."""
        clip = upsample_clip(to_float(frames), size)
        return to_pixels(clip, frames.dtype)


@MODELS.register_module()
class Lanczos(Baseline):
    """Enlarges or shrinks frames by Lanczos's filter, as Pillow in float.

    Args:
        scale: output size over input size.
    """

    takes_16_bit = True

    def __init__(self, scale: float = 4) -> None:
        super().__init__(Recipe(scale), any_scale=True)

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Resize frames to a size."""
        clip = lanczos_resize(frames.float(), size)
        return round_pixels(clip, frames.dtype)


def lanczos_resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize frames with Lanczos's filter of three lobes.

    Pixels are squares, so that output pixel i lies at (i + 1/2) / scale - 1/2
    of the input. Shrinking widens the filter; at the border it is cut off and
    its weights still sum to 1.

    Args:
        x: (..., h, w) float.
        size: output height and width.
    """
    for axis, length in ((-2, size[0]), (-1, size[1])):
        if x.shape[axis] != length:
            weights = _lanczos_weights(x.shape[axis], length).to(x)
            x = torch.movedim(torch.movedim(x, axis, -1) @ weights.T, -1, axis)
    return x


def _lanczos_weights(old: int, new: int) -> Tensor:
    """Weigh all `old` positions for each of the `new`, (new, old) float64."""
    width = max(old / new, 1)  # shrinking widens the filter
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * old / new - 0.5
    distance = (torch.arange(old) - centres[:, None]) / width
    weights = torch.sinc(distance) * torch.sinc(distance / _LOBES)
    weights[distance.abs() >= _LOBES] = 0
    return weights / weights.sum(1, keepdim=True)
