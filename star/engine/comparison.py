"""Low-quality, restored and true frames side by side, as files."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from star.video.info import VideoInfo
from star.video.io import VideoWriter


def compare_frames(
    lq: Tensor, pred: Tensor, gt: Tensor | None
) -> Iterator[np.ndarray]:
    """Put the frames of two or three clips side by side, one at a time.

    Args:
        lq: low-quality clip, (T, C, h, w) uint8 RGB; enlarged by bicubic
            interpolation.
        pred: restored clip, (T, C, H, W) uint8 RGB.
        gt: ground truth, of the shape of `pred`, or None.

    Yields:
        Frames, (H, 3 * W, C) uint8, or (H, 2 * W, C) without ground truth.

    Raises:
        ValueError: clips of different length, or `gt` of another size.
    """
    if len(lq) != len(pred):
        raise ValueError(
            f'`pred` must have the {len(lq)} frames of `lq`, got {len(pred)}'
        )
    if gt is not None and gt.shape != pred.shape:
        raise ValueError(
            '`gt` must have the shape of the restored clip, '
            f'{tuple(pred.shape)}, got {tuple(gt.shape)}'
        )
    for index, frame in enumerate(pred):
        panels = [_enlarge(lq[index], frame), frame]
        if gt is not None:
            panels.append(gt[index])
        yield torch.cat(panels, 2).permute(1, 2, 0).contiguous().numpy()


def write_comparison(
    path: Path, frames: Iterator[np.ndarray], fps: float | None, still: int
) -> np.ndarray:
    """Write frames as `path`.mp4 and one of them as `path`.png.

    Args:
        path: without suffix; files of these names are replaced.
        frames: (H, W, 3) uint8 RGB, at least one.
        fps: frames per second; None for 25.
        still: index of the frame that becomes the image.

    Returns:
        That frame.

    Raises:
        VideoError: a file cannot be written.
    """
    first = next(frames)
    image = first
    height, width = first.shape[:2]
    info = VideoInfo.of_clip(path.parent, width, height, fps)
    duration = info.frame_duration
    video = path.with_name(f'{path.name}.mp4')
    with VideoWriter(video, width, height, info, overwrite=True) as writer:
        writer.write(first, Fraction(0), duration)
        for number, frame in enumerate(frames, 1):
            writer.write(frame, number * duration, duration)
            image = frame if number == still else image
    picture = path.with_name(f'{path.name}.png')
    with VideoWriter(picture, width, height, overwrite=True) as writer:
        writer.write(image, Fraction(0), duration)
    return image


def file_name(index: int, name: str) -> str:
    """Make a clip's file name from its number and its name.

    Args:
        index: clip's number in its data set.
        name: clip's name, any text; `_` replaces unusual characters.
    """
    return f'{index:02d}_{re.sub("[^A-Za-z0-9._@=-]+", "_", name)}'[:100]


def _enlarge(frame: Tensor, like: Tensor) -> Tensor:
    size = tuple(like.shape[-2:])
    if tuple(frame.shape[-2:]) == size:
        return frame
    large = F.interpolate(
        frame[None].float(), size=size, mode='bicubic', align_corners=False
    )[0]
    return large.round().clamp(0, 255).to(torch.uint8)
