"""Layers that several networks share."""

from star.models.layers.liem import LIEM
from star.models.layers.lora import LoRA

__all__ = ['LIEM', 'LoRA']
