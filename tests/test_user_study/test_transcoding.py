"""Browsers get the methods' clips frame by frame."""

from fractions import Fraction
from pathlib import Path

import numpy as np

from star.user_study.sources import find_clips, inspect, parse_methods
from star.user_study.transcoding import transcode_clip, version_key
from star.video.io import VideoReader
from tests.test_user_study.made import (
    METHODS,
    level,
    save_clip,
    save_methods,
)


def clip_of(folder: Path, fps: Fraction | None = None):
    sources = save_methods(folder, ('set/one',))
    return inspect(find_clips(parse_methods(sources))[0], fps)


def test_frames_and_times(tmp_path: Path):
    rate = Fraction(30000, 1001)
    clip = clip_of(tmp_path, rate)
    keys = transcode_clip(clip, tmp_path / 'cache')
    assert len(set(keys.values())) == 3
    for method in METHODS:
        path = tmp_path / 'cache' / f'{keys[method]}.mp4'
        with VideoReader(path) as reader:
            info, frames = reader.info, list(reader)
        assert (info.codec, info.pix_fmt) == ('h264', 'yuv420p')
        assert (info.fps, info.has_audio) == (rate, False)
        assert [frame.time for frame in frames] == [i / rate for i in range(6)]
        greys = [frame.image.mean() for frame in frames]
        expected = [level(method, i) for i in range(6)]
        np.testing.assert_allclose(greys, expected, atol=1.5)


def test_done_once(tmp_path: Path):
    clip = clip_of(tmp_path)
    told: list[str] = []
    keys = transcode_clip(clip, tmp_path / 'cache', say=told.append)
    assert told == [f'preparing set/one of {name}' for name in METHODS]
    assert transcode_clip(clip, tmp_path / 'cache', say=told.append) == keys
    assert len(told) == 3
    # another quality is another file
    other = transcode_clip(clip, tmp_path / 'cache', 20, told.append)
    assert len(told) == 6 and not {*keys.values()} & {*other.values()}


def test_files_tell_no_order(tmp_path: Path):
    transcode_clip(clip_of(tmp_path), tmp_path / 'cache')
    times = {f.stat().st_mtime for f in (tmp_path / 'cache').iterdir()}
    assert times == {0}


def test_key_follows_the_content_not_the_place(tmp_path: Path):
    folder = save_clip(tmp_path / 'a', 'alpha')
    key = version_key(folder, Fraction(25))
    moved = folder.rename(tmp_path / 'b')
    assert version_key(moved, Fraction(25)) == key
    assert version_key(moved, Fraction(24)) != key
    image = moved / '00000003.png'
    image.write_bytes(image.read_bytes())  # only its time is new
    assert version_key(moved, Fraction(25)) != key


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path):
    for name in ('alpha', 'beta'):
        save_clip(tmp_path / name / 's' / 'x', name, size=(47, 63))
    sources = [f'{name}={tmp_path / name}' for name in ('alpha', 'beta')]
    clip = inspect(find_clips(parse_methods(sources))[0])
    keys = transcode_clip(clip, tmp_path / 'cache')
    with VideoReader(tmp_path / 'cache' / f'{keys["beta"]}.mp4') as reader:
        assert reader.info.pix_fmt == 'yuv420p'
        first = next(iter(reader)).image
    assert first.shape == (48, 64, 3)
    assert abs(first[-1].mean() - level('beta', 0)) < 1.5
