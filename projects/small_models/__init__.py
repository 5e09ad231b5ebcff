"""The making of the shipped small model: data, loss and trainer.

A config names this package in its `custom_imports` to use them.
"""

from projects.small_models.arrays import Alternating, ClipArrays, PairArrays
from projects.small_models.estimate import EstimateControlNet, EstimateUNet
from projects.small_models.restoration_loss import RestorationLoss
from projects.small_models.sampler_objective import SamplerObjective
from projects.small_models.sampler_trainer import SamplerTrainer
from projects.small_models.transforms import (
    ChooseTransform,
    DefocusClip,
    PlainDegradation,
    ShuffleChannels,
    SoftenPair,
)

__all__ = [
    'Alternating',
    'ChooseTransform',
    'ClipArrays',
    'DefocusClip',
    'EstimateControlNet',
    'EstimateUNet',
    'PairArrays',
    'PlainDegradation',
    'RestorationLoss',
    'SamplerObjective',
    'SamplerTrainer',
    'ShuffleChannels',
    'SoftenPair',
]
