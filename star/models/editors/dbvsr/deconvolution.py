"""Removal of a known blur in closed form, by Fourier transforms."""

import torch
from torch import Tensor
from torch.nn import functional as F

SMOOTHNESS = 0.02  # weight of the gradients, as in DBVSR


def deconvolve(
    x: Tensor, kernel: Tensor, smoothness: float = SMOOTHNESS
) -> Tensor:
    """Find a smooth picture that equals `x` when it is blurred.

    It minimises |k * y - x|^2 + s (|dx y|^2 + |dy y|^2); in the frequency
    domain y = conj(k) x / (|k|^2 + s (|dx|^2 + |dy|^2)). Pictures are taken
    to be periodic, after padding with their edges by twice the kernel's side.
    Transforms are in float32 or finer.

    Args:
        x: (N, C, h, w), any range.
        kernel: blur, (k, k), k odd, with its origin in the middle.
        smoothness: s, > 0.

    Returns:
        (N, C, h, w), of the dtype of `x`.

    Raises:
        ValueError: the kernel is not square or its side is even.
    """
    side = kernel.shape[-1]
    if kernel.shape != (side, side) or side % 2 == 0:
        raise ValueError(
            '`kernel` must be square with an odd side, got '
            f'{tuple(kernel.shape)}'
        )
    height, width = x.shape[-2:]
    pad = 2 * side
    kind = torch.promote_types(x.dtype, torch.float32)
    padded = F.pad(x.to(kind), [pad] * 4, mode='replicate')
    size = (height + 2 * pad, width + 2 * pad)
    blur = _response(kernel.to(padded), size)
    power = blur.abs().square() + smoothness * _gradient_power(padded, size)
    spectrum = torch.fft.rfft2(padded).mul_(blur.conj() / power)
    sharp = torch.fft.irfft2(spectrum, size)
    return sharp[..., pad : pad + height, pad : pad + width].to(x.dtype)


def _gradient_power(like: Tensor, size: tuple[int, int]) -> Tensor:
    """Compute the power spectrum of both image gradients."""
    step = like.new_tensor([[-1, 1]])
    filters = (step, step.T)
    rows, columns = (torch.fft.rfft2(f, size).abs().square() for f in filters)
    return rows + columns


def _response(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """Transform a kernel whose middle is the origin, padded to a size."""
    height, width = size
    side = kernel.shape[-1]
    padded = F.pad(kernel, (0, width - side, 0, height - side))
    return torch.fft.rfft2(padded.roll((-(side // 2),) * 2, (0, 1)))
