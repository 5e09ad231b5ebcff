"""Conditioners: (z_t, t, text, z_lq) -> control."""

from star.models.controlnets.latent_concat import LatentConcat
from star.models.controlnets.unet_controlnet import UNetControlNet

__all__ = ['LatentConcat', 'UNetControlNet']
