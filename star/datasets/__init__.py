"""Data sets: clips in."""

from star.datasets.alternating import Alternating
from star.datasets.cached_latents import CachedLatents
from star.datasets.captioned_folder import CaptionedFolder
from star.datasets.clip_arrays import ClipArrays
from star.datasets.openvid import OpenVid
from star.datasets.pair_arrays import PairArrays
from star.datasets.video_folder import VideoFolder

__all__ = [
    'Alternating',
    'CachedLatents',
    'CaptionedFolder',
    'ClipArrays',
    'OpenVid',
    'PairArrays',
    'VideoFolder',
]
