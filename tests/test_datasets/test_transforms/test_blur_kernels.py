import numpy as np
import pytest
from scipy.special import jv
from scipy.stats import multivariate_normal

from star.datasets.transforms.blur_kernels import (
    KINDS,
    blur_kernel,
    sinc_kernel,
)


def test_is_a_turned_gaussian():
    """Against the density of scipy, with the covariance written out."""
    kernel = blur_kernel('aniso', 9, (2.0, 0.7), theta=0.4)
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    covariance = turn @ np.diag([4.0, 0.49]) @ turn.T
    y, x = np.mgrid[-4:5, -4:5]
    expected = multivariate_normal([0, 0], covariance).pdf(
        np.stack([x, y], axis=-1)
    )
    np.testing.assert_allclose(kernel, expected / expected.sum(), atol=1e-12)


@pytest.mark.parametrize('kind', KINDS)
def test_kernels_sum_to_one_and_are_even(kind):
    kernel = blur_kernel(kind, 13, (1.3, 0.4), theta=1.0, beta=1.7)
    assert kernel.shape == (13, 13)
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-15)
    if not kind.endswith('aniso'):
        np.testing.assert_allclose(kernel, kernel.T, atol=1e-15)


def test_shape_one_is_the_gaussian():
    plain = blur_kernel('iso', 9, (1.1, 1.1))
    general = blur_kernel('generalized_iso', 9, (1.1, 1.1), beta=1.0)
    np.testing.assert_array_equal(plain, general)
    plateau = blur_kernel('plateau_iso', 9, (1.0, 1.0), beta=2.0)
    assert plateau[4, 6] / plateau[4, 4] == pytest.approx(1 / 17)


@pytest.mark.parametrize('cutoff', [0.7, 2.0, np.pi])
def test_sinc(cutoff):
    kernel = sinc_kernel(21, cutoff)
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    assert kernel.min() < 0
    ratio = jv(1, cutoff * 3) / (cutoff * 3) * 2
    assert kernel[10, 13] / kernel[10, 10] == pytest.approx(ratio)


def test_wrong_arguments():
    with pytest.raises(ValueError, match=r'`kind` must be in .*, got round'):
        blur_kernel('round', 7, (1, 1))
    with pytest.raises(ValueError, match='`size` must be odd, got 8'):
        sinc_kernel(8, 1.0)
