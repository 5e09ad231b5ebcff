"""Training losses."""

from star.models.losses.dynamic_frequency_loss import DynamicFrequencyLoss
from star.models.losses.perceptual_loss import PerceptualLoss
from star.models.losses.velocity_loss import VelocityLoss

__all__ = [
    'DynamicFrequencyLoss',
    'PerceptualLoss',
    'VelocityLoss',
]
