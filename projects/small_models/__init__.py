"""How the shipped small model was made: data, loss and trainer.

A config names this package in its `custom_imports` to use them.
"""

from projects.small_models.arrays import Alternating, ClipArrays, PairArrays
from projects.small_models.restoration_loss import RestorationLoss
from projects.small_models.sampler_trainer import SamplerTrainer
from projects.small_models.transforms import (
    ChooseTransform,
    PlainDegradation,
    ShuffleChannels,
    SoftenPair,
)

__all__ = [
    'Alternating',
    'ChooseTransform',
    'ClipArrays',
    'PairArrays',
    'PlainDegradation',
    'RestorationLoss',
    'SamplerTrainer',
    'ShuffleChannels',
    'SoftenPair',
]
