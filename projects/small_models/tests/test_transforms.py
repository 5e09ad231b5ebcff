from itertools import permutations

import cv2
import numpy as np
import pytest

from projects.small_models.transforms import (
    ChooseTransform,
    DefocusClip,
    PlainDegradation,
    ShuffleChannels,
    SoftenPair,
    blur_disk,
    reduce_clip,
    soft_mask,
)
from tests.test_datasets.sets import clip_of_noise


def degrade(clip, seed=0):
    results = {'gt': clip, 'rng': np.random.default_rng(seed)}
    results = PlainDegradation(scale=4)(results)
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


def test_plain_is_one_of_the_reductions():
    clip = clip_of_noise()
    choices = [
        reduce_clip(clip, 4, method)
        for method in ('area', 'bicubic', 'lanczos')
    ]
    seen = set()
    for seed in range(20):
        lq = degrade(clip, seed)
        assert lq.shape == (3, 6, 8, 3) and lq.dtype == np.uint8
        assert np.array_equal(degrade(clip, seed), lq)
        same = [np.array_equal(lq, choice) for choice in choices]
        seen.add(same.index(True))
    assert seen == {0, 1, 2}


def test_views_are_accepted():
    """A flip makes views with negative strides."""
    clip = clip_of_noise()
    view = clip[::-1, :, ::-1]
    for seed in range(5):
        copy = degrade(np.ascontiguousarray(view), seed)
        assert np.array_equal(degrade(view, seed), copy)


def test_a_point_out_of_focus_is_a_disk():
    frame = np.zeros((21, 21, 3), np.uint8)
    frame[10, 10] = 255
    out = blur_disk(frame, 4.0)[..., 0].astype(float)
    lit = np.argwhere(out > 0) - 10
    assert np.hypot(*lit.T).max() < 4.5
    assert out[10, 10] == out[10, 13] == out[12, 8] == pytest.approx(5, abs=1)
    still = np.full((9, 12, 3), 77, np.uint8)
    assert (blur_disk(still, 5.5) == 77).all()


def test_defocus():
    clip = clip_of_noise()

    def defocus(probability, whole=1.0, seed=0):
        rng = np.random.default_rng(seed)
        results = {'gt': clip, 'rng': rng}
        return DefocusClip(probability, (3.0, 3.0), whole)(results)['gt']

    assert defocus(0.0) is clip
    soft = defocus(1.0)
    assert (soft[1] == blur_disk(clip[1], 3.0)).all()
    area = defocus(1.0, whole=0.0).astype(int)
    low, high = np.minimum(soft, clip), np.maximum(soft, clip)
    assert ((area >= low) & (area <= high)).all()
    share = np.abs(area - clip).sum() / np.abs(soft - clip.astype(int)).sum()
    assert 0.02 < share < 0.98
    with pytest.raises(ValueError, match=r'`probability` .* 1.5'):
        DefocusClip(1.5)
    with pytest.raises(ValueError, match=r'`whole` .* -1'):
        DefocusClip(0.5, whole=-1)


def test_soft_areas_differ():
    masks = [soft_mask(np.random.default_rng(s), 20, 30) for s in range(30)]
    assert masks[0].shape == (20, 30, 1)
    means = [mask.mean() for mask in masks]
    assert min(means) < 0.35 and max(means) > 0.65
    assert all(0 <= mask.min() < mask.max() <= 1 for mask in masks)


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


def test_shuffled_channels():
    clip, low = clip_of_noise(), clip_of_noise(height=6, width=8, seed=1)
    orders = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        out = ShuffleChannels(0.5)({'gt': clip, 'lq': low, 'rng': rng})
        found = [
            order
            for order in permutations(range(3))
            if (out['gt'] == clip[..., order]).all()
        ]
        assert len(found) == 1
        assert (out['lq'] == low[..., found[0]]).all()
        orders.update(found)
    assert len(orders) == 6


def test_channels_that_are_left():
    results = {'gt': clip_of_noise(), 'rng': np.random.default_rng(0)}
    assert ShuffleChannels(0.0)(results)['gt'] is results['gt']
    with pytest.raises(ValueError, match='`probability`'):
        ShuffleChannels(-0.1)


def test_choice_of_a_transform():
    """Each is taken as often as its probability says."""
    shrink = [{'type': 'PlainDegradation', 'scale': n} for n in (1, 2, 4)]
    choose = ChooseTransform(shrink, [0.25, 0.75, 0.0])
    heights = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        results = choose({'gt': clip_of_noise(1), 'rng': rng})
        heights.append(results['lq'].shape[1])
    assert heights.count(24) == pytest.approx(50, abs=20)
    assert heights.count(24) + heights.count(12) == 200


@pytest.mark.parametrize('chances', [[1.0], [0.5, 0.6], [1.5, -0.5]])
def test_probabilities_that_do_not_fit(chances):
    with pytest.raises(ValueError, match='`probabilities` must be one number'):
        ChooseTransform([{'type': 'PlainDegradation'}] * 2, chances)
