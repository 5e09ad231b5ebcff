"""Transforms of clips: a dict in, a dict out."""

from mmengine.dataset import Compose

from star.datasets.transforms.degradation import RealESRGANVideoDegradation
from star.datasets.transforms.formatting import PackVideoInputs
from star.datasets.transforms.processing import (
    RandomCropClip,
    RandomFlipClip,
)
from star.registry import TRANSFORMS

__all__ = [
    'PackVideoInputs',
    'RandomCropClip',
    'RandomFlipClip',
    'RealESRGANVideoDegradation',
    'compose',
]


def compose(pipeline: list[dict]) -> Compose:
    """Build the transforms of a config and chain them.

    Args:
        pipeline: configs of registered transforms, applied in order.
    """
    return Compose([TRANSFORMS.build(config) for config in pipeline])
