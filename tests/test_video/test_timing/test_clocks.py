"""Tests of files whose clock restarts, or that begin between key frames."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from star.datasets.indexed_video import IndexedVideo
from star.video.io import VideoError, VideoReader, count_frames
from star.video.streams.times import measure_times
from tests.test_video.clips import RATE, images, pictures, ramp, write_clip
from tests.test_video.flashes import find_flashes, rewrite, write_flashes

BROADCAST = ('mpeg2video', 'mp2')
FLASHES = 5, 15
STEP = Fraction(1, RATE)


def joined(folder, suffix, starts, codecs=('libx264', 'aac'), length=24):
    """Join clips of some frames whose clocks begin at some seconds."""
    data = b''
    for start in starts:
        options = {'output_ts_offset': str(start)} if start else {}
        part = write_flashes(
            folder / f'part{suffix}',
            length,
            FLASHES,
            codecs,
            container=options,
        )
        data += part.read_bytes()
    path = folder / f'joined{suffix}'
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ('suffix', 'codecs', 'starts', 'length'),
    [
        ('.ts', ('libx264', 'aac'), (0, 0), 24),
        ('.ts', ('libx264', 'aac'), (0, 0, 0), 70),  # longer than a jump
        ('.ts', ('libx264', 'aac'), (0, 500), 24),
        ('.ts', BROADCAST, (500, 0, 20), 24),
        ('.m2ts', ('libx264', 'aac'), (0, 0), 24),
        ('.mpg', BROADCAST, (0, 0), 24),
        ('.vob', BROADCAST, (0, 0), 24),
    ],
)
def test_parts_follow_one_another_with_their_sound(
    tmp_path, suffix, codecs, starts, length
):
    path = joined(tmp_path, suffix, starts, codecs, length)
    total = length * len(starts)
    with VideoReader(path) as reader:
        times = [frame.time for frame in reader]
        assert 'its clock starts anew' in ' '.join(reader.notes)
    assert {b - a for a, b in pairwise(times)} == {STEP}
    assert count_frames(path) == count_frames(path, allow_partial=True)
    assert len(times) == count_frames(path) == total
    rewrite(path, tmp_path / 'result.mp4')
    flashes, beeps = find_flashes(tmp_path / 'result.mp4')
    wanted = [
        (length * part + at) / RATE
        for part in range(len(starts))
        for at in FLASHES
    ]
    np.testing.assert_allclose(
        np.subtract(flashes, flashes[0]),
        np.subtract(wanted, wanted[0]),
        atol=1e-3,
    )
    np.testing.assert_allclose(beeps, flashes, atol=0.02)


def test_a_clock_that_wraps_goes_on(tmp_path):
    start = 2**33 / 90000 - 1.5
    path = joined(tmp_path, '.ts', [start])
    with VideoReader(path) as reader:
        times = [frame.time for frame in reader]
        assert reader.notes == ()
    assert {b - a for a, b in pairwise(times)} == {STEP}


def test_a_pause_that_sound_fills_is_no_restart(tmp_path):
    stamps = [Fraction(i, 25) + (8 if i > 3 else 0) for i in range(8)]
    path = write_clip(tmp_path / 'a.ts', ramp(8), stamps, audio=9.0)
    with VideoReader(path) as reader:
        times = [frame.time for frame in reader]
    assert times[4] - times[3] == 8 + STEP


@pytest.mark.parametrize('codec', ['libx264', 'mpeg2video', 'libx265'])
def test_a_start_between_key_frames(tmp_path, codec):
    options = {'g': '8', 'bf': '2'}
    if codec == 'libx265':  # its key frames are open
        options = {'x265-params': 'keyint=8:bframes=2:log-level=none'}
    whole = write_clip(
        tmp_path / 'whole.ts', pictures(40), codec=codec, options=options
    )
    with av.open(str(whole)) as container:
        packets = [p for p in container.demux(video=0) if p.size]
    keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    path = tmp_path / 'cut.ts'
    path.write_bytes(whole.read_bytes()[packets[keys[1] + 2].pos :])
    with VideoReader(path) as reader:
        got = list(reader)
        assert 'between key frames' in ' '.join(reader.notes)
    first = packets[keys[2]].pts
    assert len(got) == sum(packet.pts >= first for packet in packets)
    assert {b.time - a.time for a, b in pairwise(got)} == {STEP}
    expected = images(whole)[-len(got) :]
    np.testing.assert_array_equal([f.image for f in got], expected)
    assert count_frames(path, allow_partial=True) == len(got)


def test_a_lost_packet_within_a_part_is_damage(tmp_path):
    whole = write_flashes(
        tmp_path / 'whole.ts', 24, (), BROADCAST, size=(320, 240)
    )
    data = whole.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    video = [i for i, p in enumerate(packets) if p[1] & 31 == 1 and not p[2]]
    del packets[video[len(video) // 8]]
    whole.write_bytes(b''.join(packets))
    with pytest.raises(VideoError, match='allow-partial'):
        count_frames(whole)


def test_training_windows_of_a_joined_file(tmp_path):
    path = joined(tmp_path, '.ts', (0, 500))
    video = IndexedVideo(path)
    assert video.num_frames == 48
    got = video.read([22, 23, 24, 25])
    np.testing.assert_array_equal(got, images(path)[22:26])


def test_a_change_of_size_in_a_joined_file(tmp_path):
    one = write_flashes(tmp_path / 'a.ts', 24, ())
    two = write_flashes(tmp_path / 'b.ts', 24, (), size=(96, 64))
    path = tmp_path / 'c.ts'
    path.write_bytes(one.read_bytes() + two.read_bytes())
    match = r'the size changes from 64x48 to 96x64 at frame 24 \(0\.9\d s\)'
    with pytest.raises(VideoError, match=match):
        count_frames(path)
    assert count_frames(path, num_frames=24) == 24
    assert count_frames(path, allow_partial=True) == 24


def test_the_times_of_a_joined_file(tmp_path):
    path = joined(tmp_path, '.ts', (0, 0), length=70)
    times = measure_times(path)
    assert float(times.picture_seconds) == pytest.approx(5.6, abs=0.05)
    assert float(times.sound_seconds) == pytest.approx(5.6, abs=0.1)
    assert abs(times.offset) < 0.03
