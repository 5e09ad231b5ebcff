"""Denoisers: (z_t, t, text, control) -> v."""

from star.models.backbones.cogvideox.dit import CogVideoXDiT
from star.models.backbones.compact.denoiser import CompactDenoiser
from star.models.backbones.i2vgen.unet import I2VGenUNet

__all__ = ['CogVideoXDiT', 'CompactDenoiser', 'I2VGenUNet']
