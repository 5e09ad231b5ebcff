"""Displacement of a restored clip against its ground truth.

Resizing with other pixel centres moves a picture by a fraction of a pixel and
costs PSNR that has nothing to do with the restoration. Tests report the
displacement; they never align a clip before they score it.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from star.evaluation.functional.clips import check_pair, crop_border
from star.evaluation.functional.psnr import psnr_frames

_RADIUS = 4  # pixels searched at each side
_STEPS = 16  # to a pixel
_FRAMES = 3
_SIDE = 640  # of the middle that is measured
_TAPS = 6  # of the windowed sinc, at each side
_SIGMA = 1.0
# a smaller relative gain is rounding, not a displacement
_LEAST = 1e-5


@dataclass(frozen=True)
class Shift:
    """Displacement of a clip against another, and its cost.

    Args:
        rows: pixels that `pred` lies below `gt`, a multiple of 1/16.
        columns: pixels that `pred` lies right of `gt`, a multiple of 1/16.
        gain: PSNR that undoing the displacement gains, in dB.
    """

    rows: float
    columns: float
    gain: float


def measure_shift(pred: Tensor, gt: Tensor) -> Shift:
    """Find the displacement with the least squared error.

    The search uses the middle 640x640 pixels of the first, middle and last
    frame and covers 4 pixels in each direction. It compares blurred luma, so
    that noise is not taken for a displacement.

    Args:
        pred: restored clip, (T, 3, H, W) uint8 RGB.
        gt: ground truth of the same shape.

    Raises:
        ValueError: clips that cannot be compared.
    """
    check_pair(pred, gt)
    pred, gt = _sample(pred), _sample(gt)
    if torch.equal(pred, gt):  # rounding alone would decide
        return Shift(0.0, 0.0, 0.0)
    radius = min(_RADIUS, min(pred.shape[-2:]) // 8)
    errors = _errors(_soft_luma(pred), _soft_luma(gt), radius)
    rows, columns = _least(_interpolate(errors, radius), radius)
    return Shift(rows, columns, _gain(pred, gt, (rows, columns), radius))


def displace(clip: Tensor, rows: float, columns: float) -> Tensor:
    """Move frames down and to the right by a fraction of a pixel.

    Interpolates with a windowed sinc of 12 taps; borders are replicated.

    Args:
        clip: (T, C, H, W) floating point.
        rows: pixels.
        columns: pixels.
    """
    clip = _convolve(clip, _sinc(rows), -2)
    return _convolve(clip, _sinc(columns), -1)


def _sample(clip: Tensor) -> Tensor:
    """Keep a few frames and the middle of them."""
    last, (height, width) = len(clip) - 1, clip.shape[-2:]
    frames = sorted({last * i // (_FRAMES - 1) for i in range(_FRAMES)})
    top, left = (max(0, size - _SIDE) // 2 for size in (height, width))
    return clip[frames][..., top : top + _SIDE, left : left + _SIDE]


def _errors(pred: Tensor, gt: Tensor, radius: int) -> Tensor:
    """Compute the squared error at whole displacements.

    sum (p(x + d) - g(x))^2 = sum p(x + d)^2 + sum g^2 - 2 sum p(x + d) g(x)
    over the inside of `gt`: two correlations, through Fourier transforms.

    Returns:
        Sums over all frames for d of -reach to reach, (2 reach + 1,) * 2,
        where reach = radius + the taps of the interpolation.
    """
    gt = crop_border(gt, radius)
    pred = F.pad(pred, (_TAPS,) * 4, mode='replicate')
    size = pred.shape[-2:]

    def correlate(a: Tensor, b: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(a) * torch.fft.rfft2(b, s=size).conj()
        lags = torch.fft.irfft2(spectrum, s=size).sum((0, 1))
        return lags[: 2 * (radius + _TAPS) + 1, : 2 * (radius + _TAPS) + 1]

    power = correlate(pred.square(), torch.ones_like(gt))
    return power + gt.square().sum() - 2 * correlate(pred, gt)


def _interpolate(errors: Tensor, radius: int) -> Tensor:
    """Put points between whole displacements, `_STEPS` to a pixel."""
    reach = radius + _TAPS
    points = torch.arange(-radius * _STEPS, radius * _STEPS + 1) / _STEPS
    whole = torch.arange(-reach, reach + 1)
    weights = _windowed_sinc((whole - points[:, None]).double())
    weights = weights / weights.sum(1, keepdim=True)
    return weights @ errors @ weights.T


def _least(errors: Tensor, radius: int) -> tuple[float, float]:
    """Find the least error; the middle unless another is clearly less."""
    row, column = divmod(int(errors.argmin()), errors.shape[1])
    middle = radius * _STEPS
    if errors[row, column] >= errors[middle, middle] * (1 - _LEAST):
        return 0.0, 0.0
    return (row - middle) / _STEPS, (column - middle) / _STEPS


def _gain(
    pred: Tensor, gt: Tensor, shift: tuple[float, float], radius: int
) -> float:
    """Compare the PSNR inside before and after undoing a displacement."""
    if shift == (0.0, 0.0):
        return 0.0
    undone = displace(pred.float(), -shift[0], -shift[1])
    undone = undone.round().clamp(0, 255).to(torch.uint8)
    after = psnr_frames(undone, gt, border=radius).clamp(max=100)
    before = psnr_frames(pred, gt, border=radius).clamp(max=100)
    return float((after - before).mean())


def _soft_luma(clip: Tensor) -> Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114]).double().view(3, 1, 1)
    luma = (clip.double() * weights).sum(1, keepdim=True)
    at = torch.arange(-3, 4).double() / _SIGMA
    kernel = torch.exp(-at.square() / 2)
    kernel = kernel / kernel.sum()
    return _convolve(_convolve(luma, kernel, -2), kernel, -1)


def _sinc(distance: float) -> Tensor:
    """Sample the kernel that moves a signal to the right by a distance."""
    whole = math.ceil(abs(distance))
    at = torch.arange(-_TAPS - whole, _TAPS + whole + 1).double() - distance
    kernel = _windowed_sinc(at)
    return kernel / kernel.sum()


def _windowed_sinc(at: Tensor) -> Tensor:
    window = (at / _TAPS).clamp(-1, 1).mul(math.pi / 2).cos().square()
    return torch.sinc(at) * window


def _convolve(clip: Tensor, kernel: Tensor, dim: int) -> Tensor:
    """Convolve along rows or columns; borders are replicated."""
    reach = len(kernel) // 2
    if dim == -2:
        padding, shape = (0, 0, reach, reach), (1, 1, -1, 1)
    else:
        padding, shape = (reach, reach, 0, 0), (1, 1, 1, -1)
    flat = clip.flatten(0, 1)[:, None]
    padded = F.pad(flat, padding, mode='replicate')
    # conv2d correlates, so the kernel is reversed
    moved = F.conv2d(padded, kernel.flip(0).view(shape).to(flat))
    return moved.view_as(clip)
