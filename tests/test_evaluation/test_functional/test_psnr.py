"""PSNR against scikit-image and known values."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from star.evaluation.functional.psnr import psnr, psnr_frames


def clips(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (3, 3, 20, 24)
    first = torch.randint(0, 256, shape, generator=generator)
    noise = torch.randint(-30, 31, shape, generator=generator)
    second = (first + noise).clamp(0, 255)
    return first.to(torch.uint8), second.to(torch.uint8)


def test_agrees_with_scikit_image():
    pred, gt = clips()
    expected = [
        peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=255)
        for a, b in zip(pred, gt, strict=True)
    ]
    found = psnr_frames(pred, gt)
    assert found.tolist() == pytest.approx(expected, abs=1e-9)
    assert psnr(pred, gt) == pytest.approx(np.mean(expected), abs=1e-9)


def test_luma_of_any_colours():
    """The difference of rounded-free lumas, computed frame by frame."""
    pred, gt = clips()
    weights = np.array([65.481, 128.553, 24.966]) / 255
    for found, a, b in zip(psnr_frames(pred, gt, 'y'), pred, gt, strict=True):
        lumas = [np.tensordot(weights, x.numpy(), 1) + 16 for x in (a, b)]
        error = np.mean((lumas[0] - lumas[1]) ** 2)
        expected = 10 * math.log10(255**2 / error)
        assert found.item() == pytest.approx(expected, abs=1e-9)


def test_refuses_channel():
    with pytest.raises(ValueError, match="`channel` must be 'rgb' or 'y'"):
        psnr(*clips(), 'luma')


def test_known_values():
    """An error of one is 48.1308 dB; in luma it is 219 / 255 of a level."""
    pred = torch.full((2, 3, 16, 16), 1, dtype=torch.uint8)
    gt = torch.full((2, 3, 16, 16), 2, dtype=torch.uint8)
    assert psnr(pred, gt) == pytest.approx(48.1308036, abs=1e-6)
    luma = 20 * math.log10(255 * 255 / 219)
    assert psnr(pred, gt, 'y') == pytest.approx(luma, abs=1e-9)


def test_border_is_left_out():
    pred, gt = clips()
    inner = psnr(pred[..., 4:-4, 4:-4], gt[..., 4:-4, 4:-4])
    pred[..., :4, :] = 0
    assert psnr(pred, gt, border=4) == pytest.approx(inner, abs=1e-12)


def test_equal_clips_are_infinite():
    assert math.isinf(psnr(clips()[0], clips()[0]))
