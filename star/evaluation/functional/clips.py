"""Checks, selection of frames, borders and luma for all metrics."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

CHANNELS = ('rgb', 'y')
# ITU-R BT.601, studio range: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255
_LUMA = (65.481, 128.553, 24.966)
_BLACK = 16.0


def check_clip(clip: Tensor, name: str) -> None:
    """Refuse a tensor that is no clip.

    Args:
        clip: should be (T, 3, H, W) uint8.
        name: of the argument, for the message.

    Raises:
        ValueError: another shape or type.
    """
    good = clip.ndim == 4 and len(clip) and clip.shape[1] == 3
    if not good or clip.dtype != torch.uint8:
        raise ValueError(
            f'`{name}` must be (T, 3, H, W) uint8 with T >= 1, got '
            f'{tuple(clip.shape)} {clip.dtype}'
        )


def check_pair(pred: Tensor, gt: Tensor) -> None:
    """Refuse clips that cannot be compared frame by frame.

    Raises:
        ValueError: one is no clip, or their shapes differ.
    """
    check_clip(pred, 'pred')
    check_clip(gt, 'gt')
    if pred.shape != gt.shape:
        raise ValueError(
            '`pred` and `gt` must have one shape (T, 3, H, W), got '
            f'{tuple(pred.shape)} and {tuple(gt.shape)}'
        )


def select_frames(
    count: int, frames: Sequence[int] | None = None, every: int = 1
) -> list[int]:
    """List the frames, or pairs, of a clip to measure.

    Args:
        count: number of frames, or pairs, in the clip.
        frames: indices to choose from; None for all.
        every: keep only the first of every N of these, N >= 1.

    Raises:
        ValueError: an index in `frames` is too large.
    """
    if frames is None:
        return list(range(0, count, every))
    if frames and max(frames) >= count:
        raise ValueError(
            f'`frames` must be below {count} for this clip, got {max(frames)}'
        )
    return list(frames)[::every]


def take_frames(clip: Tensor, frames: Sequence[int]) -> Tensor:
    """Take frames of a clip; evenly spaced ones are not copied.

    Args:
        clip: (T, C, H, W).
        frames: indices, each below T.
    """
    steps = {b - a for a, b in itertools.pairwise(frames)}
    if frames and len(steps) <= 1 and min(steps, default=1) > 0:
        return clip[frames[0] : frames[-1] + 1 : min(steps, default=1)]
    return clip[list(frames)]


def crop_border(clip: Tensor, border: int) -> Tensor:
    """Crop pixels at each side of every frame.

    Args:
        clip: (T, C, H, W).
        border: pixels, >= 0.

    Raises:
        ValueError: `border` is negative or leaves nothing.
    """
    height, width = clip.shape[-2:]
    if border < 0 or 2 * border >= min(height, width):
        raise ValueError(
            f'`border` must be at least 0 and below half of {height}x{width}, '
            f'got {border}'
        )
    return clip[..., border : height - border, border : width - border]


def to_channel(frames: Tensor, channel: str) -> Tensor:
    """Convert frames to the channels that are compared.

    Args:
        frames: (T, 3, H, W) uint8 RGB.
        channel: 'rgb', or 'y' for the luma of BT.601 in studio range, not
            rounded, as in published video results.

    Returns:
        float64 in [0, 255], (T, 3, H, W) or (T, 1, H, W).

    Raises:
        ValueError: unknown `channel`.
    """
    check_channel(channel)
    values = frames.double()
    if channel == 'rgb':
        return values
    weights = luma_weights().to(frames.device).view(3, 1, 1)
    return (values * weights).sum(1, keepdim=True) + _BLACK


def luma_weights() -> Tensor:
    """Return the weights of red, green and blue in luma, (3,) float64."""
    return torch.tensor(_LUMA, dtype=torch.float64) / 255


def check_channel(channel: str) -> None:
    """Refuse an unknown channel.

    Raises:
        ValueError: unknown `channel`.
    """
    if channel not in CHANNELS:
        raise ValueError(f"`channel` must be 'rgb' or 'y', got {channel!r}")
