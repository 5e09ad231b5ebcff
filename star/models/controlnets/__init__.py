"""Conditioners: (z_t, t, text, z_lq) -> control."""

from star.models.controlnets.unet_controlnet import UNetControlNet

__all__ = ['UNetControlNet']
