"""SSIM against scikit-image and known values."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from skimage.metrics import structural_similarity

from star.evaluation.functional.clips import to_channel
from star.evaluation.functional.ssim import ssim, ssim_frames
from star.utils import compat
from tests.test_evaluation.test_functional.test_psnr import clips


def test_agrees_with_scikit_image():
    pred, gt = clips()
    for score, a, b in zip(ssim_frames(pred, gt), pred, gt, strict=True):
        expected = structural_similarity(
            b.permute(1, 2, 0).numpy(),
            a.permute(1, 2, 0).numpy(),
            data_range=255,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert score.item() == pytest.approx(expected, abs=1e-12)


def test_known_values():
    pred = torch.full((2, 3, 16, 16), 1, dtype=torch.uint8)
    gt = torch.full((2, 3, 16, 16), 2, dtype=torch.uint8)
    assert ssim(pred, gt) == pytest.approx(0.9130623, abs=1e-6)
    assert ssim(pred, gt, 'y') == pytest.approx(0.9987801, abs=1e-6)


@pytest.mark.parametrize('channel', ['rgb', 'y'])
def test_border_and_luma(channel: str):
    pred, gt = clips()
    inner = [x[..., 3:-3, 3:-3] for x in (pred, gt)]
    found = ssim_frames(pred, gt, channel, border=3)
    for score, a, b in zip(found, *inner, strict=True):
        planes = [
            to_channel(x[None], channel)[0].permute(1, 2, 0).numpy()
            for x in (a, b)
        ]
        expected = structural_similarity(
            *planes,
            data_range=255,
            channel_axis=-1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        assert score.item() == pytest.approx(expected, abs=1e-12)


def rounded_luma(frame: torch.Tensor) -> np.ndarray:
    weights = np.array([0.299, 0.587, 0.114])
    return np.round(np.tensordot(weights, frame.numpy(), 1))


def clamped(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2004, with structure terms of at least 0."""
    bell = np.exp(-(np.arange(-5, 6) ** 2) / 4.5)

    def blur(plane: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            plane = correlate1d(plane, bell / bell.sum(), axis)
        return plane[5:-5, 5:-5]

    m, n = blur(x), blur(y)
    covariance = blur(x * y) - m * n
    variances = blur(x * x) - m * m + blur(y * y) - n * n
    structure = (2 * covariance + 58.5225) / (variances + 58.5225)
    luminance = (2 * m * n + 6.5025) / (m * m + n * n + 6.5025)
    return (luminance * np.maximum(structure, 0)).mean()


def test_luma_of_yiq():
    """Frames against their negatives have structure terms below 0."""
    pred, gt = clips()
    gt = torch.cat([gt[:2], 255 - pred[2:]])
    for found, a, b in zip(
        ssim_frames(pred, gt, 'yiq', border=2),
        pred[..., 2:-2, 2:-2],
        gt[..., 2:-2, 2:-2],
        strict=True,
    ):
        expected = clamped(rounded_luma(a), rounded_luma(b))
        assert found.item() == pytest.approx(expected, abs=1e-12)
    assert ssim(pred[2:], gt[2:], 'y') < 0 <= ssim(pred[2:], gt[2:], 'yiq')


def test_luma_of_the_package():
    compat.allow_missing_torchvision_operators()
    package = pytest.importorskip('pyiqa', reason='the extra `pyiqa`')
    pred, gt = clips()
    gt = torch.cat([gt[:2], 255 - pred[2:]])
    metric = package.create_metric('ssim', device=torch.device('cpu'))
    expected = metric(pred.float() / 255, gt.float() / 255)
    found = ssim_frames(pred, gt, 'yiq')
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_refuses_channel():
    with pytest.raises(ValueError, match="'rgb', 'y' or 'yiq', got 'luma'"):
        ssim(*clips(), 'luma')


def test_equal_clips_score_one():
    assert ssim(clips()[0], clips()[0]) == pytest.approx(1, abs=1e-12)


def test_refuses_small_frames():
    small = torch.zeros(1, 3, 12, 10, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r'at least 11 pixels .* got 12x10'):
        ssim(small, small)
