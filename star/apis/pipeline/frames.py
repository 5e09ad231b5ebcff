"""The clips that users of diffusers have, to our frames and back."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from star.models.data_preprocessor import PEAKS
from star.utils.checks import check_choice
from star.video.io import VideoReader

OUTPUTS = ('pil', 'np', 'pt', 'uint8')
_FORMS = (
    'a path, a list of PIL images, an array (T, H, W, 3) or a tensor '
    '(T, 3, H, W), or a batch of one of them'
)


def read_clip(video: Any) -> Tensor:
    """Return a clip as pixels.

    Args:
        video: a path of a video, an image or a folder of images; a list of
            PIL images or of frames; an array (T, H, W, 3) or (1, T, H, W,
            3); or a tensor (T, 3, H, W) or (1, T, 3, H, W). Arrays and
            tensors are uint8, uint16, or floating point in [0, 1].

    Returns:
        (T, 3, H, W) uint8 or uint16 RGB on the CPU.

    Raises:
        ValueError: it is something else.
        VideoError: the file cannot be read.
    """
    if isinstance(video, str | os.PathLike):
        return _read_file(video)
    found = _join(video)
    if found.ndim == 5:
        if len(found) != 1:
            raise ValueError(
                f'`video` must be one clip, got a batch of {len(found)}'
            )
        found = found[0]
    if found.ndim != 4 or found.shape[1] != 3 or not len(found):
        raise ValueError(
            f'`video` must be {_FORMS}, got {tuple(found.shape)} with the '
            'channels second'
        )
    return _to_pixels(found.detach().cpu())


def make_output(clip: Tensor, output_type: str) -> Any:
    """Return a restored clip as diffusers' pipelines do, a batch of one.

    Args:
        clip: (T, 3, H, W) uint8 or uint16.
        output_type: 'pil' for a list of lists of images, 'np' for (1, T, H,
            W, 3) and 'pt' for (1, T, 3, H, W), both float32 in [0, 1];
            'uint8' for the pixels themselves, (1, T, 3, H, W).

    Raises:
        ValueError: PIL images cannot hold 16 bits.
    """
    if output_type == 'uint8':
        return clip[None]
    if output_type == 'pil':
        if clip.dtype != torch.uint8:
            raise ValueError(
                "`output_type` 'pil' needs a clip of 8 bits: images of PIL "
                "cannot hold 16; use 'np' or 'pt'"
            )
        images = clip.permute(0, 2, 3, 1).numpy()
        return [[Image.fromarray(image) for image in images]]
    values = clip.float().div_(PEAKS[clip.dtype])[None]
    if output_type == 'pt':
        return values
    return values.permute(0, 1, 3, 4, 2).numpy()


def check_output(output_type: str) -> None:
    """Raise a ValueError for an unknown word."""
    check_choice('output_type', output_type, OUTPUTS)


def _read_file(path: str | os.PathLike) -> Tensor:
    with VideoReader(path) as reader:
        images = [torch.from_numpy(frame.image) for frame in reader]
    return torch.stack(images).permute(0, 3, 1, 2)


def _join(video: Any) -> Tensor:
    """Return frames or an array as a tensor with the channels first."""
    if isinstance(video, Image.Image):
        video = [video]
    if isinstance(video, list | tuple):
        video = _stack(video)
    if isinstance(video, np.ndarray):
        video = _channels_first(torch.from_numpy(np.ascontiguousarray(video)))
    if not isinstance(video, Tensor):
        raise ValueError(f'`video` must be {_FORMS}, got {_kind(video)}')
    return video


def _stack(frames: Sequence[Any]) -> Any:
    """Join the frames of a list; a list within a list is a batch."""
    if not frames:
        raise ValueError('`video` has no frames')
    first = frames[0]
    if isinstance(first, list | tuple) or getattr(first, 'ndim', 0) > 3:
        if len(frames) > 1:
            raise ValueError(
                f'`video` must be one clip, got a batch of {len(frames)}'
            )
        return _stack(first) if isinstance(first, list | tuple) else first
    if isinstance(first, Image.Image):
        frames = [_image_pixels(image) for image in frames]
    elif not isinstance(first, np.ndarray | Tensor):
        raise ValueError(f'`video` must be {_FORMS}, got a {_kind(first)}')
    try:
        if isinstance(frames[0], Tensor):
            return torch.stack(list(frames))
        return np.stack(frames)
    except (RuntimeError, TypeError, ValueError):
        raise ValueError('all frames of `video` must have one size') from None


def _image_pixels(image: Any) -> np.ndarray:
    """Return the pixels of an opaque image, (H, W, 3) uint8."""
    if not isinstance(image, Image.Image):
        raise ValueError(f'`video` must be {_FORMS}, got {_kind(image)}')
    if image.has_transparency_data:
        alpha = np.asarray(image.convert('RGBA'))[..., 3]
        if alpha.min() < 255:
            raise ValueError(
                '`video` must have opaque frames: `star restore` keeps '
                'opacity, the pipeline does not'
            )
    return np.asarray(image.convert('RGB'))


def _channels_first(video: Tensor) -> Tensor:
    if video.ndim < 4 or video.shape[-1] != 3:
        raise ValueError(
            f'`video` must be {_FORMS}, got an array {tuple(video.shape)}'
        )
    return video.movedim(-1, -3)


def _to_pixels(video: Tensor) -> Tensor:
    if video.dtype in PEAKS:
        return video
    if not video.is_floating_point():
        raise ValueError(
            '`video` must be uint8, uint16 or floating point, got '
            f'{video.dtype}'
        )
    if not (video.min() >= 0 and video.max() <= 1):
        raise ValueError(
            '`video` of floating point must be in [0, 1], got '
            f'[{video.min():g}, {video.max():g}]'
        )
    return (video.float() * 255).round().to(torch.uint8)


def _kind(value: Any) -> str:
    return type(value).__name__
