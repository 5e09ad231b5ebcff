"""Transforms of clips: dict in, dict out."""

from collections.abc import Callable

from star.datasets.transforms.degradation import RealESRGANVideoDegradation
from star.datasets.transforms.formatting import PackVideoInputs
from star.datasets.transforms.processing import (
    ChooseTransform,
    RandomCropClip,
    RandomFlipClip,
    ShuffleChannels,
)
from star.registry import TRANSFORMS

__all__ = [
    'ChooseTransform',
    'PackVideoInputs',
    'RandomCropClip',
    'RandomFlipClip',
    'RealESRGANVideoDegradation',
    'ShuffleChannels',
    'compose',
]


def compose(pipeline: list[dict]) -> Callable[[dict], dict]:
    """Build the transforms of a config and chain them.

    Args:
        pipeline: configs of registered transforms, applied in order.
    """
    transforms = [TRANSFORMS.build(config) for config in pipeline]

    def apply(results: dict) -> dict:
        for transform in transforms:
            results = transform(results)
        return results

    return apply
