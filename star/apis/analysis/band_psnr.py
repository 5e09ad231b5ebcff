"""PSNR of the low and of the high frequencies of a clip."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from star.models.losses.dynamic_frequency_loss import (
    spectral_distance,
    split_frequencies,
)

_PEAK = 255.0


@dataclass(frozen=True)
class BandPSNR:
    """Peak signal-to-noise ratios in dB; infinite without an error.

    Args:
        low: of the low band.
        high: of the high band.
        whole: of the clip.
    """

    low: float
    high: float
    whole: float


def band_psnr(
    pred: Tensor, gt: Tensor, kind: str = 'radial', cutoff: float = 0.25
) -> BandPSNR:
    """Compute the PSNR of each band of a clip.

    The error is split as the frequency loss splits it; a band's PSNR is
    10 log10(255^2 / MSE) with the mean square of the error in the band, over
    the pixels of all frames. With the radial filter the two mean
    squares add up to that of the clip. The peak is that of the whole picture
    for both: a band's number says how much of the error lies in it, and a
    high one may come from there being little to get wrong.

    Args:
        pred: clip, (T, C, H, W) uint8 RGB.
        gt: ground truth, of the same shape.
        kind: filter, 'radial' or 'gaussian', see `low_pass`.
        cutoff: in cycles per pixel.

    Raises:
        ValueError: the shapes differ.
    """
    if pred.shape != gt.shape:
        raise ValueError(
            '`pred` must have the shape of `gt`, '
            f'{tuple(gt.shape)}, got {tuple(pred.shape)}'
        )
    # the split is linear: the error is split once
    error = (pred.float() - gt.float())[None]
    low, high = split_frequencies(error, kind, cutoff)
    return BandPSNR(
        *(
            _psnr(spectral_distance(band, gt.shape[-1], 'l2').item())
            for band in (low, high, low + high)
        )
    )


def split_clip(
    clip: Tensor, kind: str = 'radial', cutoff: float = 0.25
) -> tuple[Tensor, Tensor]:
    """Split a clip into its low and its high frequencies.

    Args:
        clip: (..., H, W).
        kind: as for `band_psnr`.
        cutoff: as for `band_psnr`.

    Returns:
        Two clips of the same shape, float32, whose sum is the clip.
    """
    size = (clip.shape[-2], clip.shape[-1])
    low, high = (
        torch.fft.irfft2(band, s=size, norm='ortho')
        for band in split_frequencies(clip, kind, cutoff)
    )
    return low, high


def _psnr(error: float) -> float:
    return 10 * math.log10(_PEAK**2 / error) if error else math.inf
