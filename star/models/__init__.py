"""Models: low-quality clip to restored clip."""

from star.diffusion.schedule import NoiseSchedule
from star.models.autoencoder_trainer import AutoencoderTrainer
from star.models.autoencoders import TemporalVAE
from star.models.backbones import I2VGenUNet
from star.models.baselines import Bicubic, RealESRGANCompact, SavedResults
from star.models.controlnets import UNetControlNet
from star.models.data_preprocessor import VideoDataPreprocessor
from star.models.liem import LIEM
from star.models.losses import (
    DynamicFrequencyLoss,
    PerceptualLoss,
    VelocityLoss,
)
from star.models.sampler_trainer import SamplerTrainer
from star.models.star_model import STARModel
from star.models.text_encoders import ConstantTextEncoder, OpenCLIPTextEncoder

__all__ = [
    'LIEM',
    'AutoencoderTrainer',
    'Bicubic',
    'ConstantTextEncoder',
    'DynamicFrequencyLoss',
    'I2VGenUNet',
    'NoiseSchedule',
    'OpenCLIPTextEncoder',
    'PerceptualLoss',
    'RealESRGANCompact',
    'STARModel',
    'SamplerTrainer',
    'SavedResults',
    'TemporalVAE',
    'UNetControlNet',
    'VelocityLoss',
    'VideoDataPreprocessor',
]
