"""Models: low-quality clip to restored clip."""

from star.diffusion.cogvideox_schedule import CogVideoXSchedule
from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.models.autoencoders import CogVideoXVAE, PatchDCT, TemporalVAE
from star.models.backbones import CogVideoXDiT, CompactDenoiser, I2VGenUNet
from star.models.controlnets import LatentConcat, UNetControlNet
from star.models.data_preprocessor import VideoDataPreprocessor
from star.models.editors import (
    DBVSR,
    MGLDVSR,
    Bicubic,
    Distillation,
    Lanczos,
    RealBasicVSR,
    RealESRGAN,
    RealESRGANCompact,
    RealViformer,
    SavedResults,
    STARModel,
    UpscaleAVideo,
)
from star.models.layers import LIEM, LoRA
from star.models.losses import (
    DynamicFrequencyLoss,
    FrameDifferenceLoss,
    LatentLoss,
    PerceptualLoss,
    TeacherPathLoss,
    VelocityLoss,
)
from star.models.text_encoders import (
    ConstantTextEncoder,
    OpenCLIPTextEncoder,
    T5TextEncoder,
)

__all__ = [
    'DBVSR',
    'LIEM',
    'MGLDVSR',
    'Bicubic',
    'CogVideoXDiT',
    'CogVideoXSchedule',
    'CogVideoXVAE',
    'CompactDenoiser',
    'ConstantTextEncoder',
    'Distillation',
    'DynamicFrequencyLoss',
    'FrameDifferenceLoss',
    'I2VGenSchedule',
    'I2VGenUNet',
    'Lanczos',
    'LatentConcat',
    'LatentLoss',
    'LoRA',
    'OpenCLIPTextEncoder',
    'PatchDCT',
    'PerceptualLoss',
    'RealBasicVSR',
    'RealESRGAN',
    'RealESRGANCompact',
    'RealViformer',
    'STARModel',
    'SavedResults',
    'T5TextEncoder',
    'TeacherPathLoss',
    'TemporalVAE',
    'UNetControlNet',
    'UpscaleAVideo',
    'VelocityLoss',
    'VideoDataPreprocessor',
]
