"""Training losses."""

from star.models.losses.adversarial_loss import AdversarialLoss
from star.models.losses.adversarial_teacher import TeacherFeatures
from star.models.losses.dynamic_frequency_loss import DynamicFrequencyLoss
from star.models.losses.frame_difference_loss import FrameDifferenceLoss
from star.models.losses.latent_loss import LatentLoss
from star.models.losses.perceptual_loss import PerceptualLoss
from star.models.losses.teacher_path_loss import TeacherPathLoss
from star.models.losses.velocity_loss import VelocityLoss

__all__ = [
    'AdversarialLoss',
    'DynamicFrequencyLoss',
    'FrameDifferenceLoss',
    'LatentLoss',
    'PerceptualLoss',
    'TeacherFeatures',
    'TeacherPathLoss',
    'VelocityLoss',
]
