import numpy as np
import pytest
import torch
from scipy.ndimage import correlate, gaussian_filter
from torch import Tensor

from star.datasets.transforms import degradation_ops as ops


def draw_clip(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.manual_seed(1))


@pytest.mark.parametrize('size', [(1, 1), (2, 3), (9, 14), (30, 25)])
@pytest.mark.parametrize('side', [7, 13, 21])
def test_filter_against_scipy(size, side):
    """Also where the kernel is larger than the frame."""
    clip = draw_clip(2, 3, *size)
    kernels = np.random.default_rng(0).normal(size=(2, side, side))
    result = ops.filter2d(clip, kernels)
    for frame, kernel, out in zip(clip, kernels, result, strict=True):
        for plane, filtered in zip(frame, out, strict=True):
            expected = correlate(plane.double().numpy(), kernel, mode='mirror')
            np.testing.assert_allclose(filtered, expected, atol=2e-5)


def test_filter_of_other_devices_is_the_same():
    clip = draw_clip(3, 3, 20, 9)
    kernels = np.random.default_rng(0).random((3, 21, 7), np.float32)
    torch.testing.assert_close(
        ops._convolve(clip, kernels), ops.filter2d(clip, kernels)
    )


def test_sharpening_by_its_definition():
    clip = draw_clip(1, 3, 60, 70) * 0.5 + 0.25
    image = clip[0].double().numpy()

    def blur(planes):
        return gaussian_filter(
            planes, (0, 8, 8), mode='mirror', radius=(0, 25, 25)
        )

    residual = image - blur(image)
    soft = blur((np.abs(residual) > 10 / 255).astype(float))
    sharp = np.clip(image + 0.5 * residual, 0, 1)
    expected = soft * sharp + (1 - soft) * image
    np.testing.assert_allclose(ops.sharpen(clip)[0], expected, atol=1e-3)


def test_area_halves_by_means():
    clip = draw_clip(1, 3, 6, 8)
    expected = clip.reshape(1, 3, 3, 2, 4, 2).mean((3, 5))
    torch.testing.assert_close(ops.resize(clip, (3, 4), 'area'), expected)
    torch.testing.assert_close(ops.resize(clip, 0.5, 'area'), expected)
    with pytest.raises(ValueError, match=r'`mode` must be in .*, got near'):
        ops.resize(clip, 0.5, 'near')


@pytest.mark.parametrize('gray', [False, True])
def test_gaussian_noise(gray):
    frame = torch.full((3, 200, 200), 0.5)
    rng = np.random.default_rng(0)
    noise = ops.gaussian_noise(frame, 20.0, gray, rng) - frame
    assert noise.std() * 255 == pytest.approx(20, rel=0.02)
    assert abs(noise.mean() * 255) < 0.3
    correlation = np.corrcoef(noise.flatten(1).numpy())[0, 1]
    assert correlation == pytest.approx(float(gray), abs=0.02)


@pytest.mark.parametrize(('scale', 'gray'), [(1.0, False), (0.5, True)])
def test_poisson_noise(scale, gray):
    """Variance I / 256 for a frame of more than 128 values, times scale^2."""
    levels = torch.arange(40, 200)
    frame = (levels / 255).expand(3, 400, 160)
    rng = np.random.default_rng(0)
    noise = ops.poisson_noise(frame, scale, gray, rng) - frame
    dark, bright = noise[..., :20], noise[..., 100:120]
    for part, level in ((dark, 49.5), (bright, 149.5)):
        expected = scale * (level / 255 / 256) ** 0.5
        assert part.std() == pytest.approx(expected, rel=0.04)
    correlation = np.corrcoef(noise.flatten(1).numpy())[0, 1]
    assert correlation == pytest.approx(float(gray), abs=0.02)


def test_poisson_noise_grows_where_colours_are_few():
    frame = torch.full((3, 100, 100), 51 / 255)
    frame[:, 50:] = 102 / 255
    rng = np.random.default_rng(0)
    noisy = ops.poisson_noise(frame, 0.1, False, rng)
    deviation = (noisy - frame)[:, :50].std()
    assert deviation == pytest.approx(0.1 * (0.2 / 2) ** 0.5, rel=0.03)


def test_poisson_counts_follow_the_distribution():
    codes = np.repeat(np.array([1, 30, 128, 255], np.uint8), 40000)
    rng = np.random.default_rng(0)
    counts = ops._draw_counts(codes, 256, rng).reshape(4, -1).astype(float)
    means = np.array([1, 30, 128, 255]) / 255 * 256
    np.testing.assert_allclose(counts.mean(1), means, rtol=0.02)
    np.testing.assert_allclose(counts.var(1), means, rtol=0.03)


def test_black_has_no_shot_noise():
    frame = torch.zeros(3, 8, 8)
    rng = np.random.default_rng(0)
    assert not ops.poisson_noise(frame, 3.0, False, rng).any()
