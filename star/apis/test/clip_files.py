"""Lossless files of restored clips."""

import os
from pathlib import Path

from torch import Tensor

from star.video.info import VideoInfo
from star.video.io import VideoWriter

KINDS = ('png', 'mkv')


def write_clip(path: Path, kind: str, clip: Tensor, fps: float | None) -> Path:
    """Write a clip, replacing an earlier result of that name.

    Args:
        path: folder to write, or the file without its suffix.
        kind: 'png' for a folder of images, 'mkv' for a video in FFV1.
        clip: (T, 3, H, W) uint8 RGB.
        fps: frames per second; None for 25.

    Returns:
        The folder's or the file's path.

    Raises:
        ValueError: it cannot be written.
    """
    if kind == 'mkv':
        path = path.with_name(f'{path.name}.mkv')
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = clip.shape[-2:]
    info = VideoInfo.of_clip(path.parent, width, height, fps)
    duration = info.frame_duration
    name = os.fspath(path) + ('/' if kind == 'png' else '')
    with VideoWriter(
        name, width, height, info, 'ffv1', pix_fmt='bgr0', overwrite=True
    ) as writer:
        for index, frame in enumerate(clip):
            image = frame.permute(1, 2, 0).contiguous().numpy()
            writer.write(image, index * duration, duration)
    return path
