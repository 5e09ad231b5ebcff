"""Denoisers: (z_t, t, text, control) -> v."""

from star.models.backbones.cogvideox_dit import CogVideoXDiT
from star.models.backbones.i2vgen_unet import I2VGenUNet

__all__ = ['CogVideoXDiT', 'I2VGenUNet']
