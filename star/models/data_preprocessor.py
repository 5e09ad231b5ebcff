"""Conversion of pixels to the networks' range and size, and back."""

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from star.registry import MODELS
from star.structures import VideoSample
from star.utils.checks import check_least

# the value of white in the two types of pixels
PEAKS = {torch.uint8: 255, torch.uint16: 65535}


def to_float(clip: Tensor) -> Tensor:
    """Map uint8 [0, 255] or uint16 [0, 65535] to float32 [-1, 1]."""
    return clip.to(torch.float32) / (PEAKS[clip.dtype] / 2) - 1


def to_pixels(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Map float [-1, 1] to pixels, rounded and clamped.

    Args:
        x: of any shape.
        dtype: uint8 for [0, 255], uint16 for [0, 65535].
    """
    return round_pixels((x.float() + 1) * (PEAKS[dtype] / 2), dtype)


def to_uint8(x: Tensor) -> Tensor:
    """Map float [-1, 1] to uint8 [0, 255], rounded and clamped."""
    return to_pixels(x, torch.uint8)


def round_pixels(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Round values of a type's range to that type, those outside clamped.

    Args:
        x: values of [0, 255] or [0, 65535]; returned if it has the type.
        dtype: uint8 or uint16.
    """
    if x.dtype == dtype:
        return x
    return x.round().clamp(0, PEAKS[dtype]).to(dtype)


def check_frame(frame: Tensor) -> None:
    """Raise a ValueError for a frame that is not pixels (3, h, w)."""
    if frame.ndim != 3 or len(frame) != 3 or frame.dtype not in PEAKS:
        raise ValueError(
            'a frame must be (3, h, w) uint8 or uint16, got '
            f'{tuple(frame.shape)} {frame.dtype}'
        )


def upsample_clip(
    clip: Tensor, size: tuple[int, int], mode: str = 'bicubic'
) -> Tensor:
    """Enlarge every frame.

    Args:
        clip: (T, C, h, w) float.
        size: output height and width.
        mode: 'bicubic' or 'bilinear' (the official inference).

    Raises:
        ValueError: unknown `mode`.
    """
    _check_mode(mode)
    if tuple(clip.shape[-2:]) == tuple(size):
        return clip
    clip = F.interpolate(clip, size=size, mode=mode, align_corners=False)
    return clip.clamp(-1, 1)  # bicubic overshoots


def _check_mode(mode: str) -> None:
    if mode not in ('bicubic', 'bilinear'):
        raise ValueError(
            f"`upsample` must be 'bicubic' or 'bilinear', got {mode!r}"
        )


@MODELS.register_module()
class VideoDataPreprocessor(BaseDataPreprocessor):
    """Stacks clips of a batch as (N, C, T, H, W) float in [-1, 1].

    Args:
        scale: `inputs` are enlarged by this factor, to the size of `gt`.
        upsample: 'bicubic' or 'bilinear'.

    Raises:
        ValueError: `scale` is not positive, or `upsample` unknown.
    """

    def __init__(self, scale: int = 1, upsample: str = 'bicubic') -> None:
        super().__init__()
        check_least('scale', scale, 1)
        _check_mode(upsample)
        self.scale = scale
        self.upsample = upsample

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a batch for training; in testing return it as it is.

        Args:
            data: `inputs`, a list of (T, C, h, w) uint8 clips, of one shape
                in training, and `data_samples`, a list of VideoSample. In
                training `inputs` may be None for all: cached latents.
            training: whether the model is being trained.

        Returns:
            `inputs` and `data_samples`; in training `inputs` are
            (N, C, T, H, W) float in [-1, 1], enlarged and on the device, or
            None where there are none.
        """
        if not training:
            return data
        if all(clip is None for clip in data['inputs']):
            return {'inputs': None, 'data_samples': data['data_samples']}
        clips = [clip.to(self.device) for clip in data['inputs']]
        inputs = [self._enlarge(to_float(clip)) for clip in clips]
        batch = torch.stack(inputs).transpose(1, 2)
        return {
            'inputs': batch,
            'data_samples': data['data_samples'],
        }

    def stack(self, samples: list[VideoSample], field: str) -> Tensor:
        """Stack one field of all samples as (N, C, T, H, W) in [-1, 1]."""
        clips = [to_float(getattr(s, field).to(self.device)) for s in samples]
        return torch.stack(clips).transpose(1, 2)

    def _enlarge(self, clip: Tensor) -> Tensor:
        height, width = clip.shape[-2:]
        size = (height * self.scale, width * self.scale)
        return upsample_clip(clip, size, self.upsample)
