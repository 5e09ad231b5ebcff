"""Tests of telecined film: found, restored, and told from other video."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from star.video.io import VideoReader, VideoWriter, count_frames

VIDEO, FILM = Fraction(1001, 30000), Fraction(1001, 24000)
WIDTH, HEIGHT = 128, 96


def film(count, seed=0, speed=3):
    """Make frames of a pattern that moves to the left, (T, H, W) uint8."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(30, 210, (HEIGHT // 8, 64), np.uint8)
    scene = blocks.repeat(8, 0).repeat(8, 1)
    places = [i * speed % (scene.shape[1] - WIDTH) for i in range(count)]
    return np.stack([scene[:, place : place + WIDTH] for place in places])


def weave(tops, bottoms):
    """Make frames of the lines of two."""
    frames = np.array(tops)
    frames[:, 1::2] = np.array(bottoms)[:, 1::2]
    return frames


def telecine(frames, phase=0, classic=True):
    """Spread four frames over ten fields, from some frame of five on."""
    tops = [0, 1, 1, 2, 3]
    bottoms = [0, 1, 2, 3, 3] if classic else [0, 1, 2, 2, 3]
    cycles = range(0, len(frames) // 4 * 4, 4)
    return weave(
        frames[[i + k for i in cycles for k in tops]],
        frames[[i + k for i in cycles for k in bottoms]],
    )[phase:]


def store(path, frames, flagged=True, codec='libx264'):
    options = {'crf': '14', 'g': '12'}
    if codec == 'mpeg2video':
        options = {'b': '8000000', 'flags': '+ilme+ildct'}
    elif codec == 'prores_ks':
        options = {}
    elif flagged:
        options['x264-params'] = 'tff=1'
    with av.open(str(path), 'w') as output:
        stream = output.add_stream(codec, rate=1 / VIDEO, options=options)
        stream.width, stream.height = WIDTH, HEIGHT
        deep = codec == 'prores_ks'
        stream.pix_fmt = 'yuv422p10le' if deep else 'yuv420p'
        stream.codec_context.thread_count = 1
        for i, image in enumerate(frames):
            image = np.ascontiguousarray(image)
            frame = av.VideoFrame.from_ndarray(image, 'gray')
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = i, VIDEO
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ('suffix', 'phase', 'flagged', 'classic'),
    [
        ('.mp4', 0, True, True),
        ('.mp4', 1, False, True),
        ('.mov', 2, True, True),
        ('.mp4', 3, False, False),
        ('.ts', 4, True, True),
    ],
)
def test_film_comes_back(tmp_path, suffix, phase, flagged, classic):
    frames = film(48)
    video = telecine(frames, phase, classic)
    codec = 'mpeg2video' if suffix == '.ts' else 'libx264'
    path = store(tmp_path / f'a{suffix}', video, flagged, codec)
    with VideoReader(path) as reader:
        got = list(reader)
        assert reader.info.fps == pytest.approx(24000 / 1001, rel=0.01)
        assert 'telecined film' in ' '.join(reader.notes)
    assert abs(len(got) - len(video) * 4 / 5) <= 1
    assert count_frames(path) == len(got)
    assert {b.time - a.time for a, b in pairwise(got)} == {FILM}
    end = got[-1].time + got[-1].duration
    assert end == pytest.approx(len(video) * VIDEO, abs=0.001)
    near = [
        np.abs(frames.astype(int) - f.image[..., 0]).mean((1, 2)) for f in got
    ]
    # the first frame may have one field only, and the last none of its own
    order = [int(n.argmin()) for n in near[1:-1]]
    assert order == list(range(order[0], order[0] + len(order)))
    assert max(n.min() for n in near[1:-1]) < 5


def test_the_pattern_may_break_at_a_cut(tmp_path):
    parts = [telecine(film(40)), telecine(film(40, seed=1), 3)]
    video = np.concatenate([parts[0][:48], parts[1]])
    path = store(tmp_path / 'a.mp4', video)
    assert abs(count_frames(path) - len(video) * 4 / 5) <= 1


def test_first_frames_are_those_of_the_whole(tmp_path):
    path = store(tmp_path / 'a.mp4', telecine(film(40)))
    whole = list(VideoReader(path))
    few = list(VideoReader(path, num_frames=9))
    rest = list(VideoReader(path).frames(skip=9))
    assert count_frames(path, num_frames=9) == len(few) == 9
    for got, want in zip(few + rest, whole, strict=True):
        assert (got.time, got.duration) == (want.time, want.duration)
        np.testing.assert_array_equal(got.image, want.image)


def test_the_result_has_the_times_of_film(tmp_path):
    path = store(tmp_path / 'a.mp4', telecine(film(24)))
    with VideoReader(path) as reader:
        target = tmp_path / 'b.mp4'
        with VideoWriter(target, WIDTH, HEIGHT, reader.info) as writer:
            for frame in reader:
                writer.write(frame.image, frame.time, frame.duration)
    with av.open(str(target)) as container:
        times = [f.pts * f.time_base for f in container.decode(video=0)]
    assert {b - a for a, b in pairwise(times)} == {FILM}


def others():
    frames, steps = film(120), np.arange(60)
    return {
        'interlaced': weave(frames[::2], frames[1::2]),
        'progressive': frames[:60],
        'on twos': frames[steps // 2],
        'on threes': frames[steps // 3],
        'one of five repeated': frames[steps * 4 // 5],
        'still': frames[steps * 0],
        'slow motion': film(60, speed=1)[steps // 4],
        'half film': np.concatenate(
            [telecine(frames[:40]), weave(frames[40::2], frames[41::2])]
        ),
    }


@pytest.mark.parametrize('flagged', [False, True])
@pytest.mark.parametrize('kind', others())
def test_other_video_keeps_every_frame(tmp_path, kind, flagged):
    video = others()[kind]
    path = store(tmp_path / 'a.mp4', video, flagged)
    with VideoReader(path) as reader:
        times = [frame.time for frame in reader]
        assert reader.count() == len(times) == len(video)
        assert {b - a for a, b in pairwise(times)} == {VIDEO}
        assert ('deinterlaced' in ' '.join(reader.notes)) == flagged


def test_grain_and_still_scenes_before_film(tmp_path):
    rng = np.random.default_rng(0)
    frames = np.concatenate([film(1).repeat(32, 0), film(32)])
    noisy = frames + rng.normal(0, 6, frames.shape)
    video = telecine(noisy.clip(0, 255).astype(np.uint8))
    assert count_frames(store(tmp_path / 'a.mp4', video)) == 64


def test_deep_film_becomes_8_bit_with_a_note(tmp_path):
    path = store(tmp_path / 'a.mov', telecine(film(24)), codec='prores_ks')
    with VideoReader(path) as reader:
        assert len(list(reader)) == 24
        assert reader.info.depth == 8
        assert 'reduces 10-bit colour to 8' in ' '.join(reader.notes)
