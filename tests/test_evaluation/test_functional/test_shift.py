"""Displacements that were made by other means are found again."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import fourier_shift, gaussian_filter
from torch import Tensor

from star.evaluation.functional.psnr import psnr_frames
from star.evaluation.functional.shift import displace, measure_shift

POINTS = [(0, 0), (0.5, -0.25), (1.5, 0), (-3, 2), (0.375, 0.125), (4, -4)]


def texture(height: int = 96, width: int = 120) -> np.ndarray:
    """Draw three frames that hold nothing near the Nyquist frequency."""
    noise = np.random.default_rng(0).normal(size=(3, 3, height, width))
    return 128 + 120 * gaussian_filter(noise, (0, 0, 1.2, 1.2), mode='wrap')


def moved(clip: np.ndarray, rows: float, columns: float) -> np.ndarray:
    """Move each plane by a phase ramp: exact, and nothing is blurred."""
    planes = clip.reshape(-1, *clip.shape[-2:])
    spectra = [fourier_shift(np.fft.fft2(p), (rows, columns)) for p in planes]
    return np.real(np.fft.ifft2(spectra)).reshape(clip.shape)


def to_clip(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.round().clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize('noise', [0, 10])
@pytest.mark.parametrize('point', POINTS)
def test_finds_a_displacement(point: tuple[float, float], noise: float):
    gt = texture()
    extra = np.random.default_rng(1).normal(size=gt.shape) * noise
    pred = to_clip(moved(gt, *point) + extra)
    shift = measure_shift(pred, to_clip(gt))
    assert abs(shift.rows - point[0]) <= 1 / 16
    assert abs(shift.columns - point[1]) <= 1 / 16


def test_noise_is_no_displacement():
    gt = texture()
    noise = np.random.default_rng(1).normal(size=gt.shape) * 25
    shift = measure_shift(to_clip(gt + noise), to_clip(gt))
    assert (shift.rows, shift.columns, shift.gain) == (0, 0, 0)


def test_gain_is_psnr_regained():
    """What is not displaced scores as `pred` would without the move."""
    values = texture()
    noise = np.random.default_rng(1).normal(size=values.shape) * 10
    gt = to_clip(values)
    pred = to_clip(np.roll(values + noise, (2, -1), (-2, -1)))
    aligned = to_clip(values + noise)
    inside = [c[..., 4:-4, 4:-4] for c in (aligned, pred, gt)]
    expected = psnr_frames(inside[0], inside[2]).mean()
    expected -= psnr_frames(inside[1], inside[2]).mean()
    assert measure_shift(pred, gt).gain == pytest.approx(float(expected))


def test_enlarging_by_other_centres_shows():
    """Taking every fourth pixel, and placing it in the middle of four."""
    gt = to_clip(gaussian_filter(texture(), (0, 0, 2, 2), mode='wrap'))
    small = gt[..., ::4, ::4].float()
    large = F.interpolate(small, scale_factor=4, mode='bicubic')
    shift = measure_shift(to_clip(large.numpy()), gt)
    assert (shift.rows, shift.columns) == (1.5, 1.5)
    assert shift.gain > 3


@pytest.mark.parametrize(
    ('name', 'clip'),
    [
        ('equal', to_clip(texture())),
        ('tiny', torch.arange(48, dtype=torch.uint8).view(1, 3, 4, 4)),
        ('one value', torch.full((2, 3, 32, 32), 7, dtype=torch.uint8)),
    ],
)
def test_nothing_to_find(name: str, clip: Tensor):
    for pred in (clip, clip + 1) if name == 'one value' else (clip,):
        shift = measure_shift(pred, clip)
        assert (shift.rows, shift.columns, shift.gain) == (0, 0, 0)


def test_displaces_to_the_right_and_down():
    clip = torch.zeros(1, 1, 9, 9)
    clip[0, 0, 4, 4] = 1
    assert torch.allclose(
        displace(clip, 2, -1), clip.roll((2, -1), (-2, -1)), atol=1e-6
    )


def test_looks_at_the_middle_of_large_frames():
    gt = to_clip(texture(720, 700))
    pred = gt.roll((1, -2), (-2, -1))
    pred[..., :30, :] = 0
    shift = measure_shift(pred, gt)
    assert (shift.rows, shift.columns) == (1, -2)


def test_refuses_unequal_clips():
    gt = to_clip(texture())
    with pytest.raises(ValueError, match='one shape'):
        measure_shift(gt[..., 1:], gt)
