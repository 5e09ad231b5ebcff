"""Upscale-A-Video."""
