"""Data sets: where clips come from."""

from star.datasets.cached_latents import CachedLatents
from star.datasets.captioned_folder import CaptionedFolder
from star.datasets.openvid import OpenVid
from star.datasets.video_folder import VideoFolder

__all__ = [
    'CachedLatents',
    'CaptionedFolder',
    'OpenVid',
    'VideoFolder',
]
