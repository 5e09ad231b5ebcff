"""Bands against waves of known frequency, and against the plain PSNR."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from star.apis.analysis.band_psnr import band_psnr, split_clip
from star.evaluation.functional.psnr import psnr
from tests.test_models.fakes import random_clip

SIZE = 16


def waves(periods: int, amplitude: float) -> Tensor:
    """Grey with a wave along the rows, (2, 3, 16, 16) uint8."""
    x = torch.arange(SIZE) * 2 * math.pi * periods / SIZE
    row = 128 + amplitude * torch.cos(x)
    return row.round().to(torch.uint8).expand(2, 3, SIZE, SIZE).contiguous()


def test_an_error_counts_in_the_band_of_its_frequency():
    grey = torch.full((2, 3, SIZE, SIZE), 128, dtype=torch.uint8)
    coarse, fine = waves(4, 60), waves(8, 40)  # 0.25 and 0.5 per pixel
    found = band_psnr(coarse, grey)
    assert found.low == pytest.approx(10 * math.log10(255**2 / 1800))
    assert found.high > 100  # only what is left of rounding
    found = band_psnr(fine, grey)
    assert found.high == pytest.approx(10 * math.log10(255**2 / 1600))
    assert found.low > 100


@pytest.mark.parametrize('size', [(12, 18), (13, 17)])
def test_mean_squares_of_the_bands_add_up(size: tuple[int, int]):
    pred, gt = (random_clip(1, *size, seed) for seed in (0, 1))
    found = band_psnr(pred, gt)
    assert found.whole == pytest.approx(psnr(pred, gt), abs=1e-4)
    parts = [10 ** (-x / 10) for x in (found.low, found.high)]
    assert sum(parts) == pytest.approx(10 ** (-found.whole / 10), rel=1e-5)


def test_bands_are_those_of_a_full_transform():
    """The same with numpy's full spectrum, in float64."""
    pred, gt = (random_clip(3, 10, 9, seed) for seed in (2, 3))
    error = pred.numpy().astype(float) - gt.numpy()
    rows, columns = np.fft.fftfreq(10)[:, None], np.fft.fftfreq(9)
    mask = np.hypot(rows, columns) <= 0.2
    low = np.fft.ifft2(np.fft.fft2(error) * mask).real
    found = band_psnr(pred, gt, cutoff=0.2)
    for value, band in ((found.low, low), (found.high, error - low)):
        expected = 10 * math.log10(255**2 / (band**2).mean())
        assert value == pytest.approx(expected, abs=1e-4)


def test_equal_clips():
    clip = random_clip()
    found = band_psnr(clip, clip)
    assert (found.low, found.high, found.whole) == (math.inf,) * 3


def test_shapes_must_agree():
    with pytest.raises(ValueError, match='`pred` must have the shape'):
        band_psnr(random_clip(3), random_clip(2))


@pytest.mark.parametrize('kind', ['radial', 'gaussian'])
def test_bands_add_up_to_the_clip(kind: str):
    clip = random_clip(2, 9, 11)
    low, high = split_clip(clip, kind)
    assert torch.allclose(low + high, clip.float(), atol=1e-3)
    # the mean is a low frequency
    assert high.mean((-2, -1)).abs().max() < 1e-3


def test_a_fine_wave_lies_in_the_high_band():
    low, high = split_clip(waves(8, 40))
    assert torch.allclose(low, torch.full_like(low, 128), atol=1e-3)
    assert high.abs().mean().item() == pytest.approx(40, abs=1e-3)
