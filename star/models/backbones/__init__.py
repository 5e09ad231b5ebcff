"""Denoisers: (z_t, t, text, control) -> v."""

from star.models.backbones.cogvideox_dit import CogVideoXDiT
from star.models.backbones.compact_denoiser import CompactDenoiser
from star.models.backbones.i2vgen_unet import I2VGenUNet

__all__ = ['CogVideoXDiT', 'CompactDenoiser', 'I2VGenUNet']
