from itertools import product

import numpy as np
import pytest

from star.registry import TRANSFORMS
from tests.test_datasets.sets import clip_of_noise


def apply(clip, seed=0, **config):
    rng = np.random.default_rng(seed)
    results = {'gt': clip, 'rng': rng, 'name': 'a clip'}
    return TRANSFORMS.build(config)(results)['gt']


def test_flips_move_every_pixel_once():
    """All eight outcomes occur, and each is one of the eight symmetries."""
    clip = np.arange(2 * 4 * 6).reshape(2, 4, 6, 1)
    outcomes = []
    for mirror, transpose, reverse in product((False, True), repeat=3):
        x = clip[:, :, ::-1] if mirror else clip
        x = x.swapaxes(1, 2) if transpose else x
        outcomes.append(x[::-1] if reverse else x)
    seen = set()
    for seed in range(60):
        out = apply(clip, seed, type='RandomFlipClip')
        assert sorted(out.flatten()) == list(range(clip.size))
        seen.add(
            next(i for i, x in enumerate(outcomes) if np.array_equal(x, out))
        )
    assert seen == set(range(8))


def test_flips_keep_channels_together():
    clip = clip_of_noise()
    clip[..., 1] = clip[..., 0] // 2
    for seed in range(10):
        out = apply(clip, seed, type='RandomFlipClip')
        assert np.array_equal(out[..., 1], out[..., 0] // 2)


CROP = {'type': 'RandomCropClip', 'height': 3, 'width': 5}


def test_crop_is_a_rectangle_of_the_clip():
    t, h, w = np.indices((2, 5, 8))
    clip = np.stack([t, h, w], -1).astype(np.uint8)
    corners = set()
    for seed in range(200):
        out = apply(clip, seed, **CROP)
        assert out.shape == (2, 3, 5, 3) and out.flags['C_CONTIGUOUS']
        top, left = out[0, 0, 0, 1:]
        expected = clip[:, top : top + 3, left : left + 5]
        assert np.array_equal(out, expected)
        corners.add((int(top), int(left)))
    assert corners == set(product(range(3), range(4)))


def test_halved_crop_is_the_mean_of_four():
    clip = clip_of_noise(2, 6, 10)  # room for one rectangle only
    out = apply(clip, shrink=1.0, **CROP)
    mean = clip.reshape(2, 3, 2, 5, 2, 3).mean((2, 4), dtype=np.float64)
    assert np.abs(out - mean).max() <= 0.5
    rows, columns = np.indices((20, 30)) // 2
    even = np.stack([rows, columns, rows], -1).astype(np.uint8)[None]
    for seed in range(20):
        out = apply(even, seed, shrink=1.0, **CROP)[0].astype(int)
        assert out.shape == (3, 5, 3)
        assert (np.diff(out[..., 0], axis=0).sum(0) == 2).all()
        assert (np.diff(out[..., 1], axis=1).sum(1) == 4).all()


def test_small_clips_are_not_halved():
    clip = clip_of_noise(2, 5, 9)
    out = apply(clip, shrink=1.0, **CROP)
    found = [
        np.array_equal(clip[:, i : i + 3, j : j + 5], out)
        for i, j in product(range(3), range(5))
    ]
    assert sum(found) == 1


def test_how_often_a_clip_is_halved():
    clip = np.indices((1, 12, 20, 3))[2].astype(np.uint8)
    halved = 0
    for seed in range(400):
        out = apply(clip, seed, shrink=0.3, **CROP).astype(int)
        halved += out[0, 0, 4, 0] - out[0, 0, 0, 0] == 8
    assert 0.2 < halved / 400 < 0.4


def test_too_small_a_clip():
    with pytest.raises(ValueError, match=r'5x3, but a clip .* 4x3'):
        apply(clip_of_noise(1, 3, 4), **CROP)


def paired(seed, scale, shrink=0.0, **flips):
    """Crop a pair whose `lq` holds every `scale`th pixel of `gt`."""
    gt = clip_of_noise(3, 48, 72)
    results = {
        'gt': gt,
        'lq': gt[:, ::scale, ::scale],
        'rng': np.random.default_rng(seed),
        'name': 'a clip',
    }
    if flips:
        results = TRANSFORMS.build({'type': 'RandomFlipClip', **flips})(
            results
        )
    crop = {'type': 'RandomCropClip', 'height': 16, 'width': 24}
    return TRANSFORMS.build({**crop, 'shrink': shrink})(results)


@pytest.mark.parametrize('scale', [1, 2, 4])
def test_low_quality_is_cropped_at_the_same_place(scale):
    places = set()
    for seed in range(30):
        out = paired(seed, scale)
        assert out['gt'].shape == (3, 16, 24, 3)
        assert np.array_equal(out['lq'], out['gt'][:, ::scale, ::scale])
        places.add(out['gt'].tobytes())
    assert len(places) > 20


def test_low_quality_is_flipped_alike():
    for seed in range(16):
        out = paired(seed, 1, transpose=True)
        assert np.array_equal(out['lq'], out['gt'])


def test_low_quality_is_halved_alike():
    gt = clip_of_noise(1, 32, 48)
    results = {
        'gt': gt.repeat(2, 1).repeat(2, 2),
        'lq': gt,
        'rng': np.random.default_rng(0),
        'name': 'a clip',
    }
    crop = {'type': 'RandomCropClip', 'height': 32, 'width': 48, 'shrink': 1.0}
    out = TRANSFORMS.build(crop)(results)
    assert np.array_equal(out['gt'], gt)
    mean = gt.reshape(1, 16, 2, 24, 2, 3).mean((2, 4), dtype=np.float64)
    assert np.abs(out['lq'] - mean).max() <= 0.5


def test_low_quality_that_does_not_fit():
    results = {
        'gt': clip_of_noise(1, 24, 24),
        'lq': clip_of_noise(1, 6, 8),
        'rng': np.random.default_rng(0),
        'name': 'a clip',
    }
    crop = {'type': 'RandomCropClip', 'height': 10, 'width': 12}
    with pytest.raises(ValueError, match=r'24x24, which must be .*`lq`, 8x6'):
        TRANSFORMS.build(crop)(results)
    results['lq'] = clip_of_noise(1, 6, 6)
    with pytest.raises(ValueError, match='crop 12x10 must be a multiple of 4'):
        TRANSFORMS.build(crop)(results)


def test_flips_that_are_turned_off():
    clip = np.arange(2 * 4 * 6).reshape(2, 4, 6, 1)
    for seed in range(20):
        options = {'transpose': False, 'reverse': False}
        out = apply(clip, seed, type='RandomFlipClip', **options)
        assert np.array_equal(out, clip) or np.array_equal(
            out, clip[:, :, ::-1]
        )
