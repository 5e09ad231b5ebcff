import json

import cv2
import numpy as np
import pytest
import torch

from star.datasets.transforms import RealESRGANVideoDegradation, compose
from star.datasets.transforms import degradation as module
from star.datasets.transforms.degradation import (
    degrade,
    replay,
    sharpen_clip,
)
from star.datasets.transforms.degradation_ops import sharpen
from star.datasets.transforms.degradation_plan import (
    Codec,
    Noise,
    step_from_record,
)
from star.datasets.transforms.degradation_presets import PRESETS

TEMPORAL = ('constant', 'walk', 'independent')


def draw_clip(frames: int = 4, height: int = 144, width: int = 160):
    """Draw a smooth picture that moves."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (height // 6, width // 4, 3), np.uint8)
    shape = (width + frames, height)
    image = cv2.resize(small, shape, interpolation=cv2.INTER_CUBIC)
    views = [image[:, t : t + width] for t in range(frames)]
    return np.stack(views)


def run(clip: np.ndarray, seed: int = 0, **options) -> dict:
    transform = RealESRGANVideoDegradation(**options)
    rng = np.random.default_rng(seed)
    return transform.transform({'gt': clip, 'rng': rng, 'name': 'a'})


@pytest.mark.parametrize('preset', PRESETS)
@pytest.mark.parametrize('temporal', TEMPORAL)
def test_record_replays_byte_for_byte(preset, temporal):
    clip = draw_clip()
    kept = clip.copy()
    for seed in range(3):
        options = {'preset': preset, 'temporal': temporal}
        results = run(clip, seed, **options)
        lq, record = results['lq'], results['record']
        assert lq.shape == (4, 36, 40, 3) and lq.dtype == np.uint8
        np.testing.assert_array_equal(replay(clip, record), lq)
        read = json.loads(json.dumps(record))
        assert read == record
        np.testing.assert_array_equal(replay(clip, read), lq)
        np.testing.assert_array_equal(run(clip, seed, **options)['lq'], lq)
        assert record['preset'] == preset and not record['usm']
    np.testing.assert_array_equal(results['gt'], kept)


def test_seeds_differ():
    clip = draw_clip()
    a, b = (run(clip, seed)['lq'].astype(int) for seed in (0, 1))
    assert np.abs(a - b).mean() > 1


@pytest.mark.parametrize(
    ('shape', 'scale'),
    [((1, 8, 12), 4), ((3, 100, 148), 4), ((2, 45, 63), 3), ((2, 9, 7), 1)],
)
@pytest.mark.parametrize('preset', PRESETS)
def test_any_size(preset, shape, scale):
    clip = draw_clip(*shape)
    for seed in range(3):
        lq = run(clip, seed, preset=preset, scale=scale)['lq']
        size = shape[0], shape[1] // scale, shape[2] // scale, 3
        assert lq.shape == size


def quiet_steps(record: dict, which: int = 0) -> list:
    steps = [step_from_record(r) for r in record['plans'][which]]
    return [s for s in steps if not isinstance(s, Noise | Codec)]


def test_a_still_clip_stays_still():
    """Without noise and encoder; sampling each frame anew would flicker."""
    clip = np.repeat(draw_clip(1), 4, axis=0)
    for seed in range(8):
        record = run(clip, seed)['record']
        out = degrade(clip, quiet_steps(record))
        np.testing.assert_array_equal(out, out[:1].repeat(4, axis=0))
    record = run(clip, temporal='independent')['record']
    assert len(record['plans']) == 4
    shots = [degrade(clip[:1], quiet_steps(record, i)) for i in range(4)]
    assert np.abs(shots[0].astype(int) - shots[1]).mean() > 1


def test_a_flat_clip_keeps_its_colour():
    clip = np.empty((2, 144, 160, 3), np.uint8)
    clip[:] = (200, 90, 40)
    for seed in range(8):
        record = run(clip, seed, temporal='walk')['record']
        out = degrade(clip, quiet_steps(record))
        inner = out[:, 4:-4, 4:-4].mean((0, 1, 2))
        # JPEG rounds the mean of a block to multiples of factor * table / 8
        np.testing.assert_allclose(inner, clip[0, 0, 0], atol=8)


def test_noise_fields_differ_between_frames():
    clip = np.full((3, 64, 64, 3), 128, np.uint8)
    out = degrade(clip, [Noise('gaussian', False, (20.0,), 5)]).astype(float)
    assert out.std() == pytest.approx(20, rel=0.03)
    assert abs(np.corrcoef(out.reshape(3, -1))[0, 1]) < 0.03


@pytest.mark.parametrize('temporal', ['constant', 'walk'])
def test_frames_at_a_time_do_not_matter(monkeypatch, temporal):
    clip = draw_clip()
    for seed in range(3):
        results = run(clip, seed, temporal=temporal)
        monkeypatch.setattr(module, '_MAX_PIXELS', 1)
        again = replay(clip, results['record'])
        monkeypatch.undo()
        np.testing.assert_array_equal(again, results['lq'])


def test_sharpening_replaces_the_ground_truth():
    clip = draw_clip(2)
    results = run(clip, usm=True)
    frames = torch.from_numpy(clip).permute(0, 3, 1, 2) / 255
    expected = (sharpen(frames) * 255).round().permute(0, 2, 3, 1)
    np.testing.assert_array_equal(results['gt'], expected.numpy())
    np.testing.assert_array_equal(sharpen_clip(clip), results['gt'])
    assert np.abs(results['gt'].astype(int) - clip).mean() > 1
    assert results['record']['usm']
    again = replay(results['gt'], results['record'])
    np.testing.assert_array_equal(again, results['lq'])


def test_goes_into_a_sample():
    pipeline = compose(
        [
            {'type': 'RealESRGANVideoDegradation', 'preset': 'light'},
            {'type': 'PackVideoInputs'},
        ]
    )
    rng = np.random.default_rng(0)
    item = pipeline({'gt': draw_clip(), 'rng': rng, 'name': 'a'})
    sample = item['data_samples']
    assert item['inputs'].shape == (4, 3, 36, 40)
    lq = replay(sample.gt.permute(0, 2, 3, 1).numpy(), sample.record)
    packed = item['inputs'].permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(packed, lq)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'preset': 'heavy'}, r'`preset` must be in .*, got heavy'),
        ({'temporal': 'slow'}, r'`temporal` must be in .*, got slow'),
        ({'scale': 0}, '`scale` must be at least 1, got 0'),
        ({'scale': 5}, '`scale` 5 must divide the frame size 160x144'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        run(draw_clip(1), **options)


def test_wrong_clips_and_records():
    clip = draw_clip(2)
    record = run(clip)['record']
    with pytest.raises(ValueError, match=r'`gt` must be \(T, H, W, 3\)'):
        run(clip[..., :1])
    with pytest.raises(ValueError, match=r'`clip` must be uint8 of shape'):
        replay(clip[:1], record)
    with pytest.raises(ValueError, match='`record` must be of version 1'):
        replay(clip, {**record, 'version': 7})


@pytest.mark.gpu
def test_on_an_accelerator():
    clip = draw_clip()
    transform = RealESRGANVideoDegradation('realesrgan')
    record = transform.draw(clip.shape, np.random.default_rng(0))
    expected = replay(clip, record).astype(int)
    # a coefficient of JPEG may round the other way
    assert np.abs(replay(clip, record, 'cuda') - expected).mean() < 0.1
