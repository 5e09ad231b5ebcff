"""Fits recover what samples were drawn from; filters equal scipy's."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, special, stats
from torch import Tensor

from star.evaluation.functional.scene_statistics import (
    correlate,
    distances,
    distribution_of,
    fit_aggd,
    fit_weibull,
    gaussian,
    normalize_contrast,
    product_features,
    to_blocks,
)


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def aggd_samples(shape: float, left: float, right: float) -> np.ndarray:
    """Draw from an asymmetric generalised Gaussian."""
    draw = np.random.default_rng(1)
    size = draw.gamma(1 / shape, size=400_000) ** (1 / shape)
    is_left = draw.random(size.shape) < left / (left + right)
    return np.where(is_left, -left * size, right * size)


@pytest.mark.parametrize(
    ('shape', 'left', 'right'), [(2.0, 1, 1), (0.7, 2, 0.5), (1.3, 0.4, 3)]
)
def test_aggd_recovers_its_parameters(shape: float, left: float, right: float):
    samples = torch.from_numpy(aggd_samples(shape, left, right))
    found = [float(value) for value in fit_aggd(samples)]
    assert found == pytest.approx([shape, left, right], rel=0.02)


def test_aggd_takes_the_nearest_shape():
    """Against a search through all shapes, with scipy's gamma."""
    samples = noise(20, 500, seed=4) ** 3
    shapes = np.arange(200, 10001) / 1000
    ratios = special.gamma(2 / shapes) ** 2 / (
        special.gamma(1 / shapes) * special.gamma(3 / shapes)
    )
    for row, found in zip(samples.numpy(), fit_aggd(samples)[0], strict=True):
        left = np.sqrt(np.mean(row[row < 0] ** 2))
        right = np.sqrt(np.mean(row[row > 0] ** 2))
        g = left / right
        moment = np.mean(abs(row)) ** 2 / np.mean(row**2)
        moment *= (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
        expected = shapes[np.argmin(abs(ratios - moment))]
        assert float(found) == pytest.approx(expected, abs=1e-9)


def test_aggd_without_samples_on_one_side():
    shape, left, right = fit_aggd(torch.tensor([[0.0, 1, 2], [0, 0, 0]]))
    assert shape.tolist() == [0.2, 0.2]
    assert left.isnan().all() and right.isnan().tolist() == [False, True]


@pytest.mark.parametrize('shape', [0.4, 1.0, 1.8, 12.0])
@pytest.mark.parametrize('scale', [1e-3, 5.0])
def test_weibull_equals_scipy(shape: float, scale: float):
    draw = np.random.default_rng(2)
    samples = scale * draw.weibull(shape, size=2000)
    found = [float(v) for v in fit_weibull(torch.from_numpy(samples))]
    assert found == pytest.approx([shape, scale], rel=0.15)
    k, _, s = stats.weibull_min.fit(samples / scale, floc=0)
    assert found == pytest.approx([k, s * scale], rel=1e-4)


def test_weibull_of_equal_samples_is_unknown():
    shape, scale = fit_weibull(torch.full((2, 9), 3.0))
    assert shape.isnan().all() and scale.isnan().all()


def test_each_fit_is_its_own():
    """A hard neighbour in the batch does not change a result."""
    easy, hard = noise(1, 300).abs() + 0.1, noise(1, 300).exp() ** 4
    both = fit_weibull(torch.cat([easy, hard]))
    for one, two in zip(fit_weibull(easy), both, strict=True):
        torch.testing.assert_close(one[0], two[0], rtol=1e-12, atol=0)


@pytest.mark.parametrize(('size', 'origin'), [(7, 0), (6, -1), (5, 0)])
def test_correlate_equals_scipy(size: int, origin: int):
    image = noise(2, 70, 41)
    window = noise(size, size, seed=5)
    expected = [
        ndimage.correlate(
            channel.numpy(), window.numpy(), mode='nearest', origin=origin
        )
        for channel in image
    ]
    torch.testing.assert_close(
        correlate(image, window), torch.from_numpy(np.stack(expected))
    )


def test_gaussian_is_matlabs():
    """MATLAB's documentation prints fspecial('gaussian'), 3 x 3, 0.5."""
    window = gaussian(3, 0.5)
    expected = [0.0113, 0.0838, 0.0113, 0.0838, 0.6193]
    assert window.flatten()[:5].tolist() == pytest.approx(expected, abs=5e-5)
    assert float(window.sum()) == pytest.approx(1, abs=1e-15)


def test_contrast_has_no_scale():
    """Brightness goes, and scale as far as the constant 1 allows."""
    image, window = noise(1, 20, 20) * 1e4, gaussian(7, 7 / 6)
    once = normalize_contrast(image, window)
    again = normalize_contrast(3 * image + 5e4, window)
    torch.testing.assert_close(once, again, rtol=0, atol=2e-3)


@pytest.mark.parametrize('value', [0, 1, 37, 128, 255])
def test_flat_float32_pictures_are_exactly_zero(value: int):
    flat = torch.full((1, 12, 12), float(value))
    assert not normalize_contrast(flat, gaussian(7, 7 / 6)).any()


def test_blocks_go_row_by_row():
    image = torch.arange(6 * 7).view(1, 6, 7)
    blocks = to_blocks(image, 3)
    assert blocks.shape == (1, 4, 3, 3)
    assert blocks[0, :, 0, 0].tolist() == [0, 3, 21, 24]


def test_products_wrap_within_the_block():
    block = noise(1, 8, 8)
    shape, left, right = fit_aggd(
        (block * block.roll(1, 2)).flatten(1)
    )  # with the left neighbour
    ratio = math.gamma(2 / shape) / math.gamma(1 / shape)
    found = product_features(block)[0, 2:6].tolist()
    expected = [shape, (right - left) * ratio, left, right]
    assert found == pytest.approx([float(value) for value in expected])


def test_distribution_leaves_unknown_blocks_out():
    features = noise(6, 3)
    features[2, 1] = torch.nan
    mean, covariance = distribution_of(features)
    whole = np.delete(features.numpy(), 2, 0)
    np.testing.assert_allclose(mean, np.nanmean(features.numpy(), 0))
    np.testing.assert_allclose(covariance, np.cov(whole, rowvar=False))


def test_one_block_has_no_covariance():
    mean, covariance = distribution_of(noise(1, 3))
    assert not covariance.any() and not mean.isnan().any()


def test_distance_of_a_singular_covariance():
    """Directions without variance do not count: the pseudo-inverse."""
    covariance = torch.diag(torch.tensor([4.0, 0, 1], dtype=torch.float64))
    offsets = torch.tensor([[2.0, 7, 0], [0, 0, 3]], dtype=torch.float64)
    assert distances(offsets, covariance).tolist() == pytest.approx([1, 3])
    assert distances(offsets, covariance * torch.nan).isnan().all()
