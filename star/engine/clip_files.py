"""Restored clips as files, without loss."""

import os
from fractions import Fraction
from pathlib import Path

from torch import Tensor

from star.video.info import DEFAULT_RATE, VideoInfo
from star.video.io import VideoWriter

KINDS = ('png', 'mkv')


def write_clip(path: Path, kind: str, clip: Tensor, fps: float | None) -> Path:
    """Write a clip; an earlier result of that name is replaced.

    Args:
        path: folder to be, or file to be but for its suffix.
        kind: 'png' for a folder of images, 'mkv' for a video in FFV1.
        clip: (T, 3, H, W) uint8 RGB.
        fps: frames per second; None for 25.

    Returns:
        The folder's or the file's path.

    Raises:
        ValueError: it cannot be written.
    """
    rate = Fraction(fps or DEFAULT_RATE).limit_denominator(1001)
    height, width = clip.shape[-2:]
    if kind == 'mkv':
        path = path.with_name(f'{path.name}.mkv')
    path.parent.mkdir(parents=True, exist_ok=True)
    info = VideoInfo(
        path=path.parent,  # as if the frames came from images
        kind='folder',
        width=width,
        height=height,
        fps=rate,
        num_frames=len(clip),
        time_base=1 / rate,
        timed=False,
    )
    name = os.fspath(path) + ('/' if kind == 'png' else '')
    writer = VideoWriter(
        name, width, height, info, 'ffv1', pix_fmt='bgr0', overwrite=True
    )
    with writer:
        for index, frame in enumerate(clip):
            image = frame.permute(1, 2, 0).contiguous().numpy()
            writer.write(image, index / rate, 1 / rate)
    return path
