"""ComfyUI's images and masks: floats between 0 and 1, (B, H, W, C).

A mask is 1 where an image is transparent: one minus opacity.
"""

from collections.abc import Sequence
from typing import overload

import av
import numpy as np
import torch
from torch import Tensor

from star.apis.inference.planning import write_bytes
from star.utils.memory_limit import free_memory
from star.video.colour.alpha import enlarge
from star.video.colour.depth import PEAKS
from star.video.colour.gray import is_gray
from star.video.info import DEFAULT_RATE, Frame

_TYPES = {8: np.uint8, 16: np.uint16}
_LAYOUTS = {8: 'rgb24', 16: 'rgb48le'}
_CLOSE = 1e-3  # of a level; what float32 may lie off one of 255


class ImageClip(Sequence[Frame]):
    """A batch of images as the frames of a clip; each is made when read.

    Args:
        images: (B, H, W, 3 or 4).

    Attributes:
        depth: 8 where all values are levels of 255, else 16.

    Raises:
        ValueError: another shape, no image, or values that are no numbers.
    """

    def __init__(self, images: Tensor) -> None:
        channels = images.shape[-1] if images.ndim == 4 else 0
        if channels not in (3, 4) or not images.numel():
            raise ValueError(
                '`images` must be (B, H, W, 3 or 4) with B >= 1, got '
                f'{tuple(images.shape)}'
            )
        self.images = images
        self.depth = find_depth(images)

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Frame]: ...
    def __getitem__(self, index: int | slice) -> Frame | Sequence[Frame]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if index >= len(self):
            raise IndexError(index)
        values = to_levels(self.images[index], self.depth)
        pixels = np.ascontiguousarray(values[..., :3])
        alpha = values[..., 3].copy() if values.shape[-1] == 4 else None
        frame = av.VideoFrame.from_ndarray(pixels, _LAYOUTS[self.depth])
        step = 1 / DEFAULT_RATE
        return Frame(pixels, index * step, step, alpha, is_gray(frame))


def find_depth(values: Tensor) -> int:
    """Return how many bits hold values: 8 if they are levels of 255, or 16.

    Values of half precision get 8: they are no exact levels of either.

    Args:
        values: between 0 and 1, (B, ...).

    Raises:
        ValueError: they are no numbers.
    """
    depth = 8
    for each in values:
        if not torch.isfinite(each).all():
            raise ValueError('the images hold values that are no numbers')
        if depth == 8 and each.dtype in (torch.float32, torch.float64):
            levels = each.clamp(0, 1) * PEAKS[8]
            exact = (levels - levels.round()).abs().max() < _CLOSE
            depth = 8 if exact else 16
    return depth


def to_levels(values: Tensor, depth: int) -> np.ndarray:
    """Round values between 0 and 1 to whole numbers of some bits."""
    levels = (values.detach().float().clamp(0, 1) * PEAKS[depth]).round()
    return levels.cpu().numpy().astype(_TYPES[depth])


def to_values(levels: np.ndarray) -> Tensor:
    """Return whole numbers as values between 0 and 1."""
    peak = PEAKS[8 * levels.itemsize]
    return torch.from_numpy(levels.astype(np.float32) / np.float32(peak))


def make_room_for(shape: tuple[int, int, int, int]) -> Tensor:
    """Return memory for a batch of images.

    Args:
        shape: (B, H, W, C).

    Raises:
        ValueError: the machine has too little.
    """
    needed = 4 * int(np.prod(shape, dtype=np.int64))
    free = free_memory(torch.device('cpu'))
    if free is not None and needed > free:
        count, height, width, _ = shape
        raise ValueError(
            f'{count} images of {width}x{height} take {write_bytes(needed)} '
            f'of memory, and {write_bytes(free)} are free; "STAR: restore '
            'file" needs no more for a long video than for a short one'
        )
    return torch.empty(shape).zero_()  # taken now, so that plans know it


def enlarge_mask(
    mask: Tensor | None, images: Tensor, size: tuple[int, int]
) -> Tensor:
    """Return the mask of restored images.

    Args:
        mask: (H, W) or (B, H, W), of any size; None for that of the images'
            opacity, or an empty one.
        images: before their restoration, (B, H, W, 3 or 4).
        size: width and height of the result.

    Returns:
        As many masks as there were, of the result's size.

    Raises:
        ValueError: there are neither one nor as many masks as images.
    """
    if mask is None and images.shape[-1] == 4:
        mask = 1 - images[..., 3]
    if mask is None:
        return torch.zeros(1, size[1], size[0])
    mask = mask[None] if mask.ndim == 2 else mask
    if mask.ndim != 3 or len(mask) not in (1, len(images)):
        raise ValueError(
            f'`mask` must be 1 or {len(images)} masks, (B, H, W), got '
            f'{tuple(mask.shape)}'
        )
    opacity, depth = 1 - mask, find_depth(mask)
    levels = [enlarge(to_levels(each, depth), size) for each in opacity]
    return torch.stack([1 - to_values(each) for each in levels])
