"""Reading, cutting and degrading one clip of a test set."""

import json

import numpy as np
import pytest

from star.datasets.test_set_clips import (
    PrepareOptions,
    check_pair,
    degrade_clip,
    read_source,
    write_lossless,
)
from star.datasets.transforms.degradation import replay
from star.datasets.video_folder import read_clip
from tests.test_datasets.sets import write_frames
from tests.test_video.clips import pictures, write_clip


def test_whole_clip(tmp_path):
    folder = write_frames(tmp_path / 'x', pictures(5))
    source = read_source(folder, PrepareOptions())
    assert np.array_equal(source.clip, pictures(5))
    assert (source.fps, source.file) == (None, folder)
    for count, file in ((5, folder), (9, folder), (4, None)):
        source = read_source(folder, PrepareOptions(num_frames=count))
        assert source.file == file
        assert np.array_equal(source.clip, pictures(5)[:count])


def test_rate_of_a_video(tmp_path):
    video = write_clip(tmp_path / 'x.mp4', pictures(5))
    source = read_source(video, PrepareOptions())
    assert (source.fps, source.file) == (25.0, video)


def test_centre(tmp_path):
    frames = pictures(2)
    folder = write_frames(tmp_path / 'x', frames)
    source = read_source(folder, PrepareOptions(size=(40, 32)))
    assert np.array_equal(source.clip, frames[:, 4:44, 16:48])
    assert source.file is None
    source = read_source(folder, PrepareOptions(size=(48, 64)))
    assert source.file == folder
    with pytest.raises(ValueError, match=r'64x48 are smaller than .* 64x52'):
        read_source(folder, PrepareOptions(size=(52, 64)))


def test_centres_of_a_pair_lie_on_one_grid(tmp_path):
    """(48 - 36) / 2 = 6 is no multiple of 4: 4 rows above, 1 in the input."""
    lq = pictures(2, 16, 12)
    gt = np.kron(lq, np.ones((1, 4, 4, 1), np.uint8))
    options = PrepareOptions(size=(36, 44))
    large = read_source(write_frames(tmp_path / 'gt', gt), options)
    small = read_source(write_frames(tmp_path / 'lq', lq), options, 4)
    assert small.clip.shape == (2, 9, 11, 3)
    assert np.array_equal(large.clip[:, ::4, ::4], small.clip)


def test_draws_depend_on_seed_and_name_only():
    gt = pictures(8)
    options = PrepareOptions()
    lq, record = degrade_clip('a', gt, options)
    assert lq.shape == (8, 12, 16, 3)
    again, same = degrade_clip('a', gt, options)
    assert np.array_equal(again, lq) and same == record
    # what was drawn for a clip stays, whatever clip bears the name
    _, other_clip = degrade_clip('a', pictures(8, seed=3), options)
    assert other_clip == record
    _, other_name = degrade_clip('b', gt, options)
    _, other_seed = degrade_clip('a', gt, PrepareOptions(seed=1))
    assert other_name != record != other_seed
    assert record['preset'] == 'star' and record['scale'] == 4
    _, light = degrade_clip('a', gt, PrepareOptions(preset='light'))
    assert light['preset'] == 'light'


def test_record_replays():
    lq, record = degrade_clip('a', pictures(8), PrepareOptions())
    record = json.loads(json.dumps(record))
    assert np.array_equal(replay(pictures(8), record), lq)


@pytest.mark.parametrize('ffv1', [False, True])
def test_written_without_loss(tmp_path, ffv1):
    clip = np.random.default_rng(0).integers(0, 256, (3, 11, 7, 3), np.uint8)
    path = tmp_path / ('a.b.mkv' if ffv1 else 'a.b')
    write_lossless(path, clip, ffv1)
    assert path.is_dir() != ffv1
    assert np.array_equal(read_clip(path)[0], clip)


def test_pairs():
    gt, lq = pictures(4), pictures(4, 16, 12)
    check_pair(gt, lq, 4)
    check_pair(None, lq, 4)
    for bad, scale in ((pictures(3), 4), (gt, 2), (pictures(4, 64, 52), 4)):
        with pytest.raises(ValueError, match='4 of 16x12 in lq/ do not match'):
            check_pair(bad, lq, scale)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'num_frames': 0}, '`frames` must be >= 1, got 0'),
        ({'seed': -1}, '`seed` must be >= 0 .* got -1 and 4'),
        ({'size': (48, 66)}, '`scale` 4 must divide .* got 66x48'),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        PrepareOptions(**options)
