"""The maps of IL-NIQE against scipy, numpy and known values."""

import math

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from star.evaluation.functional.ilniqe_maps import (
    gradients,
    log_colours,
    log_gabor_bank,
    log_gabor_responses,
    to_opponent,
)


def noise(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 255


@pytest.mark.parametrize('sigma', [1.66, 1.66 / 2**0.28, 0.5])
def test_gradients_equal_scipys_convolution(sigma: float):
    image, reach = noise(2, 23, 31), math.ceil(3 * sigma)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    smooth = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    for found, window in zip(
        gradients(image, sigma), (x * smooth, y * smooth), strict=True
    ):
        for channel, result in zip(image.numpy(), found, strict=True):
            expected = signal.convolve2d(channel, window, 'same')
            np.testing.assert_allclose(result, expected, atol=1e-9)


@pytest.mark.parametrize('value', [0.1, 77.7, 200.3])
def test_flat_regions_have_no_gradient(value: float):
    flat = torch.full((1, 20, 20), value, dtype=torch.float64)
    for found in gradients(flat, 1.66):
        assert not found[:, 5:-5, 5:-5].any()


def test_opponent_colours():
    found = to_opponent(torch.eye(3, dtype=torch.float64)[:, None])[:, 0]
    expected = [[0.3, 0.04, -0.35], [0.34, -0.6, 0.17], [0.06, 0.63, 0.27]]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_log_colours_see_no_illumination():
    """A factor on a channel is a constant, which is taken away."""
    colours = noise(3, 8, 9) + 1
    bright = colours * torch.tensor([0.3, 1, 2]).double()[:, None, None]
    torch.testing.assert_close(
        log_colours(colours), log_colours(bright), rtol=0, atol=1e-4
    )
    red = log_colours(colours)[2] * math.sqrt(2)
    logs = np.log(colours.numpy() + 1e-5)
    expected = logs[0] - logs[0].mean() - logs[1] + logs[1].mean()
    np.testing.assert_allclose(red, expected, atol=1e-12)


def bank_of(size: tuple[int, int], wavelength: float) -> Tensor:
    return log_gabor_bank(size, wavelength, torch.device('cpu'))


def test_filters_peak_at_their_wave():
    """By frequency and direction, y pointing up as in the original."""
    bank = bank_of((64, 64), 4.0)
    down = torch.fft.fftfreq(64)[:, None].expand(64, 64)
    across = torch.fft.fftfreq(64).expand(64, 64)
    for index, window in enumerate(bank):
        scale, orientation = divmod(index, 4)
        place = int(window.argmax())
        wave = torch.stack([across.flatten()[place], -down.flatten()[place]])
        assert float(wave.norm()) == pytest.approx(
            1 / (4 * 1.31**scale), rel=0.08
        )
        angle = math.atan2(float(wave[1]), float(wave[0]))
        assert angle == pytest.approx(math.pi * orientation / 4, abs=0.1)
        assert float(window.max()) == pytest.approx(1, abs=0.05)
    assert not bank[:, 0, 0].any()


def test_values_of_one_filter():
    """Eq. of the log-Gabor at a frequency off axis, orientation 0."""
    found = bank_of((10, 10), 2.4)[0, 8, 3]  # (-0.2, 0.3)
    radius, angle = math.hypot(0.2, 0.3), math.atan2(0.2, 0.3)
    radial = math.log(radius * 2.4) ** 2 / (2 * math.log(0.55) ** 2)
    angular = angle**2 / (2 * (math.pi / 4 / 1.1) ** 2)
    assert float(found) == pytest.approx(math.exp(-radial - angular))


def test_responses_are_filtered_pictures():
    image = noise(20, 20)
    spectrum = np.fft.fft2(image.numpy())
    responses = list(log_gabor_responses(image, 2.4))
    assert len(responses) == 12
    for found, window in zip(responses, bank_of((20, 20), 2.4), strict=True):
        expected = np.fft.ifft2(spectrum * window.numpy())
        np.testing.assert_allclose(found[0], expected.real, atol=1e-9)
        np.testing.assert_allclose(found[1], expected.imag, atol=1e-9)
