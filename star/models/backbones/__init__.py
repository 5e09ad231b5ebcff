"""Denoisers: (z_t, t, text, control) -> v; others of a method of its own."""

from star.models.backbones.cogvideox.dit import CogVideoXDiT
from star.models.backbones.compact.denoiser import CompactDenoiser
from star.models.backbones.i2vgen.unet import I2VGenUNet
from star.models.backbones.mgld_vsr.spade_video_unet import SpadeVideoUNet
from star.models.backbones.stable_diffusion.structure_encoder import (
    StructureEncoder,
)
from star.models.backbones.upscale_a_video.unet import UAVUNet

__all__ = [
    'CogVideoXDiT',
    'CompactDenoiser',
    'I2VGenUNet',
    'SpadeVideoUNet',
    'StructureEncoder',
    'UAVUNet',
]
