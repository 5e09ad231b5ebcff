"""Bicubic resizing equal to MATLAB's `imresize`, which NIQE depends on.

The kernel is Keys' with a = -0.5, widened where the picture shrinks. Borders
are mirrored, the outermost pixel twice.
"""

import math

import torch
from torch import Tensor

_SUPPORT = 4


def imresize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images, rows first.

    Everything is computed in the type of `images`. In float32 the positions
    of samples are rounded too, as in pyiqa, which changes scores.

    Args:
        images: (..., H, W) floating point; nothing is clipped or rounded.
        size: new height and width.

    Returns:
        (..., *size), of the same type.

    Raises:
        ValueError: a side of `size` is below 1.
    """
    if min(size) < 1:
        raise ValueError(f'`size` must be at least 1x1, got {size}')
    rows = _resize_rows(images, size[0])
    return _resize_rows(rows.mT.contiguous(), size[1]).mT.contiguous()


def _resize_rows(images: Tensor, length: int) -> Tensor:
    """Change the last dimension but one to `length` rows."""
    before, width = images.shape[-2:]
    indices, weights = _taps(before, length, images.dtype)
    indices, weights = indices.to(images.device), weights.to(images.device)
    result = images.new_zeros(*images.shape[:-2], length, width)
    # products are not fused with the sum, so that all machines round alike
    for index, weight in zip(indices, weights, strict=True):
        result += images.index_select(-2, index).mul_(weight[:, None])
    return result


def _taps(
    before: int, after: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Compute the taps of each new sample.

    Returns:
        Indices and weights, (taps, after); the weights sum to 1.
    """
    scale = after / before
    shrink = min(scale, 1.0)
    taps = math.ceil(_SUPPORT / shrink) + 2
    centres = (torch.arange(after, dtype=dtype) + 0.5) / scale - 0.5
    first = centres.floor() - taps // 2 + 1
    steps = torch.arange(taps, dtype=dtype)[:, None]
    weights = _keys((centres - first - steps) * shrink)
    weights = weights / weights.sum(0)
    indices = (first + steps).long() % (2 * before)
    return torch.minimum(indices, 2 * before - 1 - indices), weights


def _keys(x: Tensor) -> Tensor:
    """Evaluate the cubic convolution kernel of Keys 1981, a = -0.5."""
    x = x.abs()
    square = x * x
    cube = x * square
    near = 1.5 * cube - 2.5 * square + 1
    far = -0.5 * cube + 2.5 * square - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, 0.0))
