"""SSIM against scikit-image and known values."""

import pytest
import torch
from skimage.metrics import structural_similarity

from star.evaluation.functional.clips import to_channel
from star.evaluation.functional.ssim import ssim, ssim_frames
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


def test_equal_clips_score_one():
    assert ssim(clips()[0], clips()[0]) == pytest.approx(1, abs=1e-12)


def test_refuses_small_frames():
    small = torch.zeros(1, 3, 12, 10, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r'at least 11 pixels .* got 12x10'):
        ssim(small, small)
