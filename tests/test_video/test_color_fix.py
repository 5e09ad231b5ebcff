import numpy as np
import pytest
import torch
from scipy import ndimage

from star.video.color_fix import (
    COLOR_FIXES,
    adain_color_fix,
    wavelet_color_fix,
)

FIXES = [name for name in COLOR_FIXES if name != 'none']


@pytest.fixture
def clips():
    g = torch.Generator().manual_seed(3)
    pred = torch.rand(3, 3, 40, 56, generator=g) * 2 - 1
    lq = torch.rand(3, 3, 40, 56, generator=g) * 0.6 - 0.5
    return pred, lq


def test_the_dict_names_what_the_options_offer():
    old = {'adain', 'wavelet', 'detail', 'none'}
    assert set(COLOR_FIXES) == old | {'lab', 'hsv', 'adaptive'}


def test_none_changes_nothing(clips):
    assert COLOR_FIXES['none'](*clips) is clips[0]


@pytest.mark.parametrize('name', COLOR_FIXES)
def test_a_clip_with_the_right_colours_stays(name, clips):
    atol = 2e-5 if name in ('lab', 'hsv') else 1e-6  # there and back
    out = COLOR_FIXES[name](clips[0], clips[0])
    torch.testing.assert_close(out, clips[0], atol=atol, rtol=0)


def test_adain_transfers_mean_and_deviation(clips):
    pred, lq = clips
    out = adain_color_fix(pred, lq)
    torch.testing.assert_close(
        out.mean((2, 3)), lq.mean((2, 3)), atol=1e-6, rtol=0
    )
    torch.testing.assert_close(
        out.std((2, 3)), lq.std((2, 3)), atol=1e-3, rtol=0
    )


def test_adain_undoes_a_change_of_colour(clips):
    lq = clips[1]
    gain = torch.tensor([0.5, 1.3, 1.0]).reshape(3, 1, 1)
    out = adain_color_fix(lq * gain + 0.2, lq)
    torch.testing.assert_close(out, lq, atol=2e-3, rtol=0)


def test_adain_of_flat_frames_is_finite():
    pred, lq = torch.full((2, 3, 8, 8), 0.3), torch.full((2, 3, 8, 8), -0.6)
    torch.testing.assert_close(adain_color_fix(pred, lq), lq)


def low_pass(frame):
    """Five a-trous levels in scipy, for one (H, W) channel."""
    for level in range(5):
        kernel = np.zeros(2 * 2**level + 1)
        kernel[[0, 2**level, -1]] = 0.25, 0.5, 0.25
        for axis in (0, 1):
            frame = ndimage.correlate1d(frame, kernel, axis, mode='nearest')
    return frame


def test_wavelet_matches_scipy(clips):
    pred, lq = (x.double().numpy() for x in clips)
    out = wavelet_color_fix(*clips)
    for t in range(3):
        for c in range(3):
            want = pred[t, c] - low_pass(pred[t, c]) + low_pass(lq[t, c])
            np.testing.assert_allclose(out[t, c], want, atol=1e-6)


def test_wavelet_keeps_detail_and_takes_a_colour_cast():
    rows = torch.arange(64).remainder(2) * 2.0 - 1
    detail = 0.1 * rows.expand(1, 3, 64, 64)
    cast = torch.tensor([0.3, 0.0, -0.2]).reshape(3, 1, 1)
    out = wavelet_color_fix(detail + 0.5, torch.zeros_like(detail) + cast)
    inner = (out - detail - cast)[..., 34:-34, 34:-34]
    assert inner.numel() == 0 or inner.abs().max() < 1e-6
    # Edges see the replicated border, by half an alternation at most.
    assert (out - detail - cast).abs().max() < 0.06


@pytest.mark.parametrize('size', [(1, 1), (3, 70), (5, 4)])
@pytest.mark.parametrize('name', COLOR_FIXES)
def test_small_frames(name, size):
    pred, lq = torch.rand(1, 3, *size), torch.rand(1, 3, *size)
    out = COLOR_FIXES[name](pred, lq)
    assert out.shape == pred.shape
    assert out.isfinite().all()


@pytest.mark.parametrize('name', FIXES)
def test_frames_are_independent(name, clips):
    pred, lq = clips
    out = COLOR_FIXES[name](pred, lq)
    for t in range(3):
        one = COLOR_FIXES[name](pred[t : t + 1], lq[t : t + 1])
        assert torch.equal(out[t : t + 1], one)


@pytest.mark.parametrize('name', FIXES)
def test_half_precision_is_computed_in_float32(name, clips):
    pred, lq = (x.half() for x in clips)
    out = COLOR_FIXES[name](pred, lq)
    want = COLOR_FIXES[name](pred.float(), lq.float()).half()
    assert torch.equal(out, want)


@pytest.mark.parametrize('name', FIXES)
def test_refuses_clips_of_different_shape(name, clips):
    pred, lq = clips
    with pytest.raises(ValueError, match=r'one shape .* \(3, 3, 40, 56\)'):
        COLOR_FIXES[name](pred, lq[..., ::2, ::2])
    with pytest.raises(ValueError, match='one shape'):
        COLOR_FIXES[name](pred[0], lq[0])


def test_detail_fix_keeps_the_input_s_scale() -> None:
    x = torch.arange(64.0)
    coarse = torch.sin(2 * torch.pi * x / 32).expand(1, 1, 64, 64)
    fine = torch.where(x % 2 == 0, 0.5, -0.5).expand(1, 1, 64, 64)
    fixed = COLOR_FIXES['detail'](coarse + fine, torch.zeros_like(coarse))
    inner = fixed[..., 8:-8, 8:-8]
    kept = inner - fine[..., 8:-8, 8:-8]  # fine detail passes unchanged
    # (1, 2, 1) / 4 at distances 1 and 2 passes cos^2(w/2) cos^2(w)
    w = torch.tensor(2 * torch.pi / 32)
    left = 1 - (torch.cos(w / 2) * torch.cos(w)) ** 2
    assert torch.allclose(kept, left * coarse[..., 8:-8, 8:-8], atol=1e-5)
