"""A method to compare with from outside: bicubic, then sharpened."""

import torch
from torch import Tensor
from torch.nn import functional as F

from star.models.editors import Baseline, Recipe
from star.registry import MODELS


@MODELS.register_module()
class UnsharpMask(Baseline):
    """Enlarges frames and adds what a 3 x 3 mean takes away from them.

    Args:
        scale: output size over input size.
        amount: weight of what is added; 0 leaves bicubic enlargement.
    """

    def __init__(self, scale: float = 4, amount: float = 0.5) -> None:
        super().__init__(Recipe(scale), any_scale=True)
        self.amount = amount

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Restore frames (t, 3, h, w) uint8 at a size, (t, 3, H, W) uint8."""
        x = F.interpolate(frames.float(), size=size, mode='bicubic')
        mean = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), 'replicate'), 3, stride=1)
        sharp = x + self.amount * (x - mean)
        return sharp.round().clamp(0, 255).to(torch.uint8)
