"""Real-ESRGAN's compact image network as a denoiser for video."""
