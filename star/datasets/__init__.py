"""Data sets: clips in."""

from star.datasets.clip_arrays import ClipArrays

__all__ = ['ClipArrays']
