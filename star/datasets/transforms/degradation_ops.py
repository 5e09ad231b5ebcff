"""Blur, sharpening, resizing and noise of clips (T, C, H, W) in [0, 1].

Deterministic operations run on the clip's device. A numpy generator draws the
noise, so it is the same on every device.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

MODES = ('area', 'bilinear', 'bicubic')
_QUANTILES = 2**12  # of a Poisson distribution
_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601


def filter2d(clip: Tensor, kernels: np.ndarray) -> Tensor:
    """Correlate frames with kernels, edges reflected without repetition.

    Args:
        clip: (T, C, H, W) float32.
        kernels: (T, k, l), or (1, k, l) for all frames; k and l odd.

    Returns:
        (T, C, H, W).
    """
    shape = (len(clip), *kernels.shape[1:])
    kernels = np.broadcast_to(kernels.astype(np.float32), shape)
    on_cpu = clip.device.type == 'cpu'
    return (_filter_planes if on_cpu else _convolve)(clip, kernels)


def _filter_planes(clip: Tensor, kernels: np.ndarray) -> Tensor:
    """Filter on the CPU with OpenCV, in a fifth of torch's time."""
    frames = clip.contiguous().numpy()
    out = np.empty_like(frames)
    for frame, kernel, result in zip(frames, kernels, out, strict=True):
        for plane, target in zip(frame, result, strict=True):
            target[:] = cv2.filter2D(
                plane, -1, kernel, borderType=cv2.BORDER_REFLECT_101
            )
    return torch.from_numpy(out)


def _convolve(clip: Tensor, kernels: np.ndarray) -> Tensor:
    """Filter on any device, all frames at once."""
    rows = _reflect(clip.shape[2], kernels.shape[1] // 2).to(clip.device)
    columns = _reflect(clip.shape[3], kernels.shape[2] // 2).to(clip.device)
    padded = clip[:, :, rows][..., columns].transpose(0, 1)
    weight = torch.from_numpy(kernels.copy()).to(clip.device)[:, None]
    return F.conv2d(padded, weight, groups=len(clip)).transpose(0, 1)


def _reflect(length: int, pad: int) -> Tensor:
    """Index a line that is mirrored at its ends, repeatedly if need be."""
    index = torch.arange(-pad, length + pad)
    if length == 1:
        return torch.zeros_like(index)
    period = 2 * (length - 1)
    index = index.remainder(period)
    return torch.minimum(index, period - index)


def sharpen(
    clip: Tensor, weight: float = 0.5, threshold: float = 10.0
) -> Tensor:
    """Apply the unsharp masking of Real-ESRGAN's ground truth.

    Where a pixel differs from its blurred value (Gaussian of 51 pixels,
    sigma 8) by more than `threshold`, the difference is amplified. The
    blurred mask of these pixels blends the result with the clip.

    Args:
        clip: (T, C, H, W) float32 in [0, 1].
        weight: factor of the added difference.
        threshold: smallest difference, in 1/255.
    """
    blurred = _blur_wide(clip)
    residual = clip - blurred
    mask = (residual.abs() * 255 > threshold).to(clip.dtype)
    soft = _blur_wide(mask)
    sharp = (clip + weight * residual).clamp(0, 1)
    return soft * sharp + (1 - soft) * clip


def _blur_wide(clip: Tensor) -> Tensor:
    """Blur with the Gaussian of `sharpen`, a separable filter."""
    line = _gaussian_line()[None]
    return filter2d(filter2d(clip, line[:, None]), line[:, :, None])


@lru_cache(maxsize=1)
def _gaussian_line() -> np.ndarray:
    x = np.arange(51) - 25
    line = np.exp(-(x**2) / (2 * 8.0**2))
    return (line / line.sum()).astype(np.float32)


def resize(clip: Tensor, size: tuple[int, int] | float, mode: str) -> Tensor:
    """Resize frames without anti-aliasing, as Real-ESRGAN does.

    Args:
        clip: (T, C, H, W) float.
        size: height and width, or a factor; sides are rounded down.
        mode: 'area', 'bilinear' or 'bicubic'; bicubic may leave [0, 1].

    Raises:
        ValueError: `mode` is unknown.
    """
    if mode not in MODES:
        raise ValueError(f'`mode` must be in {MODES}, got {mode}')
    corners = None if mode == 'area' else False
    if isinstance(size, tuple):
        return F.interpolate(clip, size, mode=mode, align_corners=corners)
    return F.interpolate(
        clip, scale_factor=size, mode=mode, align_corners=corners
    )


def gaussian_noise(
    frame: Tensor, sigma: float, gray: bool, rng: Generator
) -> Tensor:
    """Add normal noise to a frame.

    Args:
        frame: (C, H, W) in [0, 1].
        sigma: standard deviation in 1/255.
        gray: add the same noise to all channels.
        rng: generator of the noise.

    Returns:
        (C, H, W), clipped to [0, 1].
    """
    shape = (1, *frame.shape[1:]) if gray else tuple(frame.shape)
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise *= sigma / 255
    noisy = frame + torch.from_numpy(noise).to(frame.device)
    return noisy.clamp_(0, 1)


def poisson_noise(
    frame: Tensor, scale: float, gray: bool, rng: Generator
) -> Tensor:
    """Add shot noise to a frame.

    The frame, rounded to 8 bit, has n distinct values; a value I becomes a
    Poisson count with mean I * 2^ceil(log2 n).

    Args:
        frame: (3, H, W) RGB in [0, 1].
        scale: factor of the noise; 1 for Poisson noise.
        gray: add the noise of the luma to all channels.
        rng: generator of the noise.

    Returns:
        (3, H, W), clipped to [0, 1].
    """
    source = _luma(frame) if gray else frame
    codes = (source.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    distinct = np.count_nonzero(np.bincount(codes.ravel(), minlength=256))
    peak = 2 ** (int(distinct) - 1).bit_length()
    counts = _draw_counts(codes, peak, rng).astype(np.float32)
    noise = (counts / peak - codes / np.float32(255)) * scale
    noisy = frame + torch.from_numpy(noise).to(frame.device)
    return noisy.clamp_(0, 1)


def _draw_counts(codes: np.ndarray, peak: int, rng: Generator) -> np.ndarray:
    """Draw Poisson counts with mean code / 255 * peak from a table."""
    index = rng.integers(_QUANTILES, size=codes.shape, dtype=np.uint16)
    row = codes.astype(np.int32) * _QUANTILES
    return _poisson_table(peak).take(row + index)


@lru_cache
def _poisson_table(peak: int) -> np.ndarray:
    """Tabulate Poisson quantiles for each code, (256 * _QUANTILES,) uint16.

    Each code has a row with the quantiles at (i + 1/2) / _QUANTILES of the
    mean code / 255 * peak. The table takes 2 MiB and an eighth of the time of
    drawing from the distribution; counts stay within 3.7 standard deviations.
    """
    means = torch.arange(256, dtype=torch.float64)[:, None] / 255 * peak
    most = peak + 8 * math.isqrt(peak) + 16
    below = torch.special.gammaincc(torch.arange(1, most + 1).double(), means)
    edges = (below * _QUANTILES).round().long().numpy()
    counts = np.arange(most, dtype=np.uint16)
    rows = [counts.repeat(np.diff(e, prepend=0)) for e in edges]
    return np.concatenate(rows)


def _luma(frame: Tensor) -> Tensor:
    weights = torch.tensor(_LUMA, device=frame.device)[:, None, None]
    return (weights * frame).sum(0, keepdim=True)
