"""Upscale-A-Video's denoiser: Stable Diffusion's x4 upscaler over time."""

from star.models.backbones.upscale_a_video.unet import UAVUNet

__all__ = ['UAVUNet']
