"""Lossless files of restored clips."""

import hashlib
import os
from pathlib import Path

import torch
from torch import Tensor

from star.video.info import VideoInfo
from star.video.io import VideoReader, VideoWriter

KINDS = {'png': 'png frames', 'mkv': 'ffv1 mkv'}  # as results name them


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


def read_clip(path: Path, sha256: str | None = None) -> Tensor:
    """Read a clip that `write_clip` wrote.

    Args:
        path: what it returned.
        sha256: `digest_of` the clip; None if it is not known.

    Returns:
        (T, 3, H, W) uint8 RGB.

    Raises:
        ValueError: the clip cannot be read, or has another digest.
    """
    with VideoReader(path) as reader:
        frames = [torch.from_numpy(frame.image) for frame in reader]
    clip = torch.stack(frames).permute(0, 3, 1, 2).contiguous()
    if sha256 is not None and digest_of(clip) != sha256:
        raise ValueError(f'{path} is no longer the clip that was restored')
    return clip


def digest_of(clip: Tensor) -> str:
    """Compute the SHA-256 of a clip's size and pixels.

    Args:
        clip: (T, 3, H, W) uint8 RGB.
    """
    digest = hashlib.sha256(str(tuple(clip.shape)).encode())
    for frame in clip:
        digest.update(frame.contiguous().numpy().tobytes())
    return digest.hexdigest()
