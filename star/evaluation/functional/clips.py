"""What the metrics of two clips share: checks, borders, luma."""

import torch
from torch import Tensor

CHANNELS = ('rgb', 'y')
# ITU-R BT.601, studio range: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255
_LUMA = (65.481, 128.553, 24.966)
_BLACK = 16.0


def check_clip(clip: Tensor, name: str) -> None:
    """Refuse what is no clip.

    Args:
        clip: what should be (T, 3, H, W) uint8.
        name: of the argument, for the message.

    Raises:
        ValueError: naming the argument, the rule and what came.
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


def crop_border(clip: Tensor, border: int) -> Tensor:
    """Leave out pixels at each side of every frame.

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
    """Convert frames to what is compared.

    Args:
        frames: (T, 3, H, W) uint8 RGB.
        channel: 'rgb', or 'y' for the luma of BT.601 in studio range, not
            rounded, as published video results use it.

    Returns:
        float64 in [0, 255], (T, 3, H, W) or (T, 1, H, W).

    Raises:
        ValueError: unknown `channel`.
    """
    if channel not in CHANNELS:
        raise ValueError(f"`channel` must be 'rgb' or 'y', got {channel!r}")
    values = frames.double()
    if channel == 'rgb':
        return values
    weights = values.new_tensor(_LUMA).view(3, 1, 1) / 255
    return (values * weights).sum(1, keepdim=True) + _BLACK
