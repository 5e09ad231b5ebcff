"""STAR: a text-to-video diffusion prior restores clips."""
