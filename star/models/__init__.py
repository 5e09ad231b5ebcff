"""Models: low-quality clip to restored clip."""

from star.diffusion.cogvideox_schedule import CogVideoXSchedule
from star.diffusion.schedule import NoiseSchedule
from star.models.autoencoder_trainer import AutoencoderTrainer
from star.models.autoencoders import TemporalVAE
from star.models.autoencoders_cogvideox import CogVideoXVAE
from star.models.autoencoders_dct import PatchDCT
from star.models.backbones import CogVideoXDiT, CompactDenoiser, I2VGenUNet
from star.models.baselines import (
    DBVSR,
    Bicubic,
    Lanczos,
    RealESRGANCompact,
    RealViformer,
    SavedResults,
)
from star.models.controlnets import LatentConcat, UNetControlNet
from star.models.data_preprocessor import VideoDataPreprocessor
from star.models.liem import LIEM
from star.models.lora import LoRA
from star.models.losses import (
    DynamicFrequencyLoss,
    PerceptualLoss,
    VelocityLoss,
)
from star.models.sampler_trainer import SamplerTrainer
from star.models.star_model import STARModel
from star.models.text_encoders import ConstantTextEncoder, OpenCLIPTextEncoder
from star.models.text_encoders_t5 import T5TextEncoder

__all__ = [
    'DBVSR',
    'LIEM',
    'AutoencoderTrainer',
    'Bicubic',
    'CogVideoXDiT',
    'CogVideoXSchedule',
    'CogVideoXVAE',
    'CompactDenoiser',
    'ConstantTextEncoder',
    'DynamicFrequencyLoss',
    'I2VGenUNet',
    'Lanczos',
    'LatentConcat',
    'LoRA',
    'NoiseSchedule',
    'OpenCLIPTextEncoder',
    'PatchDCT',
    'PerceptualLoss',
    'RealESRGANCompact',
    'RealViformer',
    'STARModel',
    'SamplerTrainer',
    'SavedResults',
    'T5TextEncoder',
    'TemporalVAE',
    'UNetControlNet',
    'VelocityLoss',
    'VideoDataPreprocessor',
]
