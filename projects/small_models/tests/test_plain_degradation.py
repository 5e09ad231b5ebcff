import io

import cv2
import numpy as np
import pytest
from PIL import Image

from projects.small_models.plain_degradation import (
    PlainDegradation,
    SoftenPair,
    reduce_clip,
)


def clip_of_noise(frames=3, height=24, width=32, seed=0):
    rng = np.random.default_rng(seed)
    shape = (frames, height, width, 3)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def degrade(clip, seed=0, **options):
    results = {'gt': clip, 'rng': np.random.default_rng(seed)}
    results = PlainDegradation(**options)(results)
    assert results['gt'] is clip
    return results['lq']


@pytest.mark.parametrize('scale', [1, 2, 4])
def test_area_is_the_mean(scale):
    clip = clip_of_noise()
    blocks = clip.reshape(3, 24 // scale, scale, 32 // scale, scale, 3)
    mean = blocks.mean((2, 4), dtype=np.float64)
    out = reduce_clip(clip, scale, 'area')
    assert out.dtype == np.uint8
    assert np.abs(out - mean).max() <= 0.5


@pytest.mark.parametrize('scale', [1, 2, 4])
@pytest.mark.parametrize('method', ['bicubic', 'lanczos'])
def test_kernels_widen_with_the_factor(scale, method):
    """Against the kernel's own formula, in float64."""
    a, support = (-0.5, 2) if method == 'bicubic' else (None, 3)

    def kernel(x):
        x = np.abs(x)
        if method == 'lanczos':
            return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        far = a * (x**3 - 5 * x**2 + 8 * x - 4)
        return np.where(x < 1, near, np.where(x < 2, far, 0))

    def matrix(size):
        centre = (np.arange(size // scale) + 0.5) * scale
        distance = (np.arange(size) + 0.5 - centre[:, None]) / scale
        weight = kernel(distance) * (np.abs(distance) < support)
        return weight / weight.sum(1, keepdims=True)

    clip = clip_of_noise()
    exact = np.einsum('ah,bw,thwc->tabc', matrix(24), matrix(32), clip)
    out = reduce_clip(clip, scale, method)
    # Pillow rounds and clips between its two passes
    assert np.abs(out - exact.clip(0, 255)).max() < (12 if scale > 1 else 0.5)
    assert np.abs(out - exact.clip(0, 255)).mean() < 0.6


def test_wrong_reductions():
    clip = clip_of_noise()
    with pytest.raises(ValueError, match=r'`method` .*nearest'):
        reduce_clip(clip, 2, 'nearest')
    with pytest.raises(ValueError, match=r'`scale` 5 must divide .* 32x24'):
        reduce_clip(clip, 5, 'area')
    with pytest.raises(ValueError, match='`scale` 0'):
        reduce_clip(clip, 0, 'area')
    with pytest.raises(ValueError, match=r'`quality` .* 96'):
        PlainDegradation(quality=96)


def test_plain_is_one_of_the_reductions():
    clip = clip_of_noise()
    choices = [
        reduce_clip(clip, 4, method)
        for method in ('area', 'bicubic', 'lanczos')
    ]
    seen = {
        next(
            i
            for i, choice in enumerate(choices)
            if np.array_equal(degrade(clip, seed, plain=1.0), choice)
        )
        for seed in range(20)
    }
    assert seen == {0, 1, 2}


@pytest.mark.parametrize('plain', [0.0, 0.5, 1.0])
def test_reproducible(plain):
    clip = clip_of_noise()
    results = [degrade(clip, seed, plain=plain) for seed in range(6)]
    assert all(r.shape == (3, 6, 8, 3) for r in results)
    assert all(r.dtype == np.uint8 for r in results)
    for seed, result in enumerate(results):
        assert np.array_equal(degrade(clip, seed, plain=plain), result)
    assert any(not np.array_equal(results[0], r) for r in results[1:])


def test_every_frame_is_degraded_alike():
    """Without noise equal frames stay equal, whatever has been drawn."""
    still = np.repeat(clip_of_noise(1), 4, axis=0)
    for seed in range(10):
        lq = degrade(still, seed, plain=0.0, noise=0.0, quality=1)
        assert all(np.array_equal(frame, lq[0]) for frame in lq)


def test_noise_differs_from_frame_to_frame():
    flat = np.full((8, 64, 64, 3), 128, np.uint8)
    levels = []
    for seed in range(10):
        lq = degrade(flat, seed, plain=0.0, noise=6.0, quality=95)
        error = lq.astype(float) - 128
        assert np.abs(error).std() == 0 or not np.array_equal(lq[0], lq[1])
        levels.append(error.std((1, 2, 3)))
        # one level for the clip
        assert levels[-1].std() < 0.1 * levels[-1].mean() + 0.1
    levels = np.array(levels).mean(1)
    assert levels.max() < 6 and levels.max() > 2 * levels.min()


def test_blur_and_jpeg_are_those_of_the_draws(monkeypatch):
    clip = clip_of_noise(2, 32, 32)
    rng = np.random.default_rng(3)
    method = ('area', 'bicubic', 'lanczos')[rng.integers(3)]
    rng.random()
    sigma = rng.uniform(0.1, 2.0)
    blurred = [cv2.GaussianBlur(frame, (0, 0), sigma) for frame in clip]
    small = reduce_clip(np.stack(blurred), 2, method)
    lq = degrade(clip, 3, scale=2, plain=0.0, noise=0.0, quality=95)
    for frame, got in zip(small, lq, strict=True):
        file = io.BytesIO()
        # red and blue in their places: cv2 keeps them the other way round
        Image.fromarray(frame).save(file, 'JPEG', quality=95, subsampling=2)
        expected = np.asarray(Image.open(file)).astype(float)
        assert np.abs(got - expected).mean() < 3
        swapped = np.abs(got[..., ::-1] - expected).mean()
        assert swapped > 5


def test_views_are_accepted():
    """A flip makes views with negative strides."""
    clip = clip_of_noise()
    view = clip[::-1, :, ::-1]
    for seed in range(5):
        lq = degrade(view, seed, plain=0.0)
        copy = degrade(np.ascontiguousarray(view), seed, plain=0.0)
        assert np.array_equal(lq, copy)


def test_soften_pair():
    clip = clip_of_noise()
    lq = clip[:, ::4, ::4]

    def soften(probability):
        rng = np.random.default_rng(0)
        results = {'gt': clip, 'lq': lq, 'rng': rng}
        return SoftenPair(probability, (3.0, 3.0))(results)

    kept = soften(0.0)
    assert kept['gt'] is clip and kept['lq'] is lq
    soft = soften(1.0)
    assert (soft['gt'][1] == cv2.GaussianBlur(clip[1], (0, 0), 3.0)).all()
    blocks = soft['gt'].reshape(3, 6, 4, 8, 4, 3).mean((2, 4))
    assert np.abs(soft['lq'] - blocks).max() <= 0.5
    with pytest.raises(ValueError, match=r'`probability` .* 1.5'):
        SoftenPair(1.5)
