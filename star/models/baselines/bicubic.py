"""Bicubic enlargement, the yardstick of all others."""

from torch import Tensor

from star.models.baselines.base import Baseline
from star.models.data_preprocessor import to_float, to_uint8, upsample_clip
from star.registry import MODELS


@MODELS.register_module()
class Bicubic(Baseline):
    """Enlarges frames as STARModel enlarges its input.

    Args:
        scale: output size over input size.
    """

    def __init__(self, scale: float = 4) -> None:
        super().__init__(scale, any_scale=True)

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge frames to a size."""
        return to_uint8(upsample_clip(to_float(frames), size))
