"""Clips as tensors and as files."""
