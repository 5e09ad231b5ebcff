"""STAR: real-world video super-resolution with text-to-video diffusion."""

__version__ = '0.1.0'
