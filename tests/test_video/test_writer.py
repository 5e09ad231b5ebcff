"""Tests of writing: frames, times, tags, sound, and no leftover files."""

import os
import subprocess
import sys
import time as clock
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from star.video.encoding import BY_RATE_FACTOR
from star.video.io import VideoError, VideoReader, VideoWriter, probe
from tests.paths import ROOT
from tests.test_video.clips import (
    RATE,
    packets,
    pictures,
    ramp,
    rewrite,
    write_clip,
)


@pytest.fixture(scope='module')
def sound(tmp_path_factory):
    """A clip of 25 frames whose sound starts late and outlasts the video."""
    path = tmp_path_factory.mktemp('sound') / 'sound.mp4'
    return write_clip(path, ramp(25), audio=1.5, audio_start=0.1)


def write(path, frames, **options):
    height, width = frames[0].shape[:2]
    with VideoWriter(path, width, height, **options) as writer:
        for i, frame in enumerate(frames):
            writer.write(frame, Fraction(i, RATE), Fraction(1, RATE))
    return writer


def read(path):
    return np.stack([frame.image for frame in VideoReader(path)])


def test_variable_rate_is_kept_to_the_tick(tmp_path):
    stamps = [Fraction(n, 30000) for n in (0, 1001, 2002, 17017, 18018)]
    source = write_clip(tmp_path / 'a.mp4', ramp(5), stamps)
    rewrite(source, tmp_path / 'b.mp4')
    old, new = list(VideoReader(source)), list(VideoReader(tmp_path / 'b.mp4'))
    assert [f.time for f in new] == [f.time for f in old] == stamps
    assert [f.duration for f in new] == [f.duration for f in old]
    means = [f.image.mean() for f in new]
    np.testing.assert_allclose(means, np.linspace(40, 220, 5), atol=2)


@pytest.mark.parametrize(
    ('name', 'codec'),
    [
        ('a.mkv', 'libx264'),
        ('a.mov', 'libx265'),
        ('a.webm', 'libvpx-vp9'),
        ('a.mp4', 'mpeg4'),
    ],
)
@pytest.mark.parametrize('count', [1, 2, 7])
def test_other_codecs_and_containers(tmp_path, name, codec, count):
    write(tmp_path / name, ramp(count), codec=codec)
    frames = list(VideoReader(tmp_path / name))
    assert len(frames) == count
    expected = np.arange(count) / RATE
    got = [float(f.time) for f in frames]
    np.testing.assert_allclose(got, expected, atol=6e-4)
    capture = cv2.VideoCapture(str(tmp_path / name))
    assert capture.get(cv2.CAP_PROP_FRAME_WIDTH) == 64
    assert sum(iter(lambda: capture.read()[0], False)) == count


def test_lossless(tmp_path):
    frames = pictures(4)
    write(tmp_path / 'a.mkv', frames, codec='ffv1', pix_fmt='bgr0')
    np.testing.assert_array_equal(read(tmp_path / 'a.mkv'), frames)


@pytest.mark.parametrize('size', [(33, 24), (32, 25), (31, 17)])
def test_odd_sizes_grow_by_one(tmp_path, size):
    frames = pictures(3, *size)
    writer = write(tmp_path / 'a.mp4', frames)
    info = probe(tmp_path / 'a.mp4')
    width, height = size
    even = width + width % 2, height + height % 2
    assert (info.width, info.height, info.pix_fmt) == (*even, 'yuv420p')
    (note,) = writer.notes
    assert '{}x{} is odd'.format(*size) in note
    assert 'written as {}x{}, with the last'.format(*even) in note
    got = read(tmp_path / 'a.mp4').astype(int)
    wanted = np.pad(
        frames,
        ((0, 0), (0, height % 2), (0, width % 2), (0, 0)),
        mode='edge',
    )
    assert np.abs(got - wanted).mean() < 5


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('a.mp4', {'pix_fmt': 'yuv444p'}),
        ('a.webm', {}),
        ('a.mkv', {'codec': 'ffv1'}),
    ],
)
def test_odd_sizes_stay_where_they_can(tmp_path, name, options):
    writer = write(tmp_path / name, pictures(3, 93, 69), **options)
    info = probe(tmp_path / name)
    assert (info.width, info.height) == (93, 69)
    assert info.pix_fmt == options.get('pix_fmt', 'yuv420p')
    assert writer.notes == ()


@pytest.mark.parametrize(
    'rgb', [(230, 40, 30), (20, 200, 90), (40, 60, 220), (255, 255, 255)]
)
def test_colours_are_bt709_and_say_so(tmp_path, rgb):
    frames = [np.full((32, 32, 3), rgb, np.uint8)] * 2
    write(tmp_path / 'a.mp4', frames, crf=5)
    with av.open(str(tmp_path / 'a.mp4')) as container:
        frame = next(container.decode(video=0))
    y, u, v = (np.frombuffer(p, np.uint8)[0] for p in frame.planes)
    r, g, b = np.array(rgb) / 255
    luma = 0.2126 * r + 0.7152 * g + 0.0722 * b
    assert abs(y - (16 + 219 * luma)) <= 2
    assert abs(u - (128 + 224 * (b - luma) / 1.8556)) <= 2
    assert abs(v - (128 + 224 * (r - luma) / 1.5748)) <= 2
    tags = frame.color_range, frame.colorspace
    assert tags == (1, 1)
    assert (frame.color_primaries, frame.color_trc) == (1, 1)
    assert np.abs(read(tmp_path / 'a.mp4').astype(int) - rgb).max() <= 3


def test_tags_and_pixel_aspect_are_kept(tmp_path):
    source = write_clip(
        tmp_path / 'a.mp4', ramp(2), tags=(1, 6, 6, 6), aspect=Fraction(16, 15)
    )
    rewrite(source, tmp_path / 'b.mp4')
    info = probe(tmp_path / 'b.mp4')
    assert info.sample_aspect_ratio == Fraction(16, 15)
    assert (info.color_primaries, info.color_transfer) == (6, 6)
    assert (info.color_matrix, info.color_range) == (1, 1)


@pytest.mark.parametrize('suffix', ['.mp4', '.mov', '.mkv'])
def test_audio_is_copied_in_place(sound, tmp_path, suffix):
    target = tmp_path / f'a{suffix}'
    assert rewrite(sound, target) == ()
    old, new = packets(sound, 'audio'), packets(target, 'audio')
    assert [data for _, data in new] == [data for _, data in old]
    shift = {t - u for (t, _), (u, _) in zip(new, old, strict=True)}
    video = float(next(iter(VideoReader(target))).time)
    starts = packets(target, 'video')[0][0], packets(sound, 'video')[0][0]
    assert max(abs(s - (starts[0] - starts[1])) for s in shift) < 2e-3
    assert video < 0.03


def test_audio_before_the_video_keeps_its_lead(tmp_path):
    late = [Fraction(i, RATE) + Fraction(1, 2) for i in range(10)]
    source = write_clip(tmp_path / 'a.mkv', ramp(10), late, audio=1.0)
    rewrite(source, tmp_path / 'b.mp4')
    video = packets(tmp_path / 'b.mp4', 'video')
    audio = packets(tmp_path / 'b.mp4', 'audio')
    old = packets(source, 'audio')
    assert len(audio) == len(old)
    lead = packets(source, 'video')[0][0] - old[0][0]
    assert abs(video[0][0] - audio[0][0] - lead) < 2e-3


def test_audio_ends_with_the_first_frames(sound, tmp_path):
    rewrite(sound, tmp_path / 'a.mp4', num_frames=5, trim_streams=True)
    audio = packets(tmp_path / 'a.mp4', 'audio')
    assert 0.17 < audio[-1][0] < 0.2
    old = [data for _, data in packets(sound, 'audio')]
    assert [data for _, data in audio] == old[: len(audio)]


@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv', 'a.mov'])
def test_the_same_frames_give_the_same_bytes(tmp_path, name):
    paths = [tmp_path / folder / name for folder in 'xy']
    for path in paths:
        path.parent.mkdir()
        write(path, ramp(6))
    first, second = (path.read_bytes() for path in paths)
    assert first == second


@pytest.mark.parametrize('name', ['out/', 'out'])
def test_folder_of_pngs(sound, tmp_path, name):
    frames = pictures(3)
    target = f'{tmp_path}/{name}'
    info = probe(sound)
    writer = write(target, frames, source=info)
    assert 'audio' in writer.notes[0]
    names = sorted(os.listdir(target))
    assert names == [f'{i:08d}.png' for i in range(3)]
    got = [np.asarray(Image.open(Path(target) / n)) for n in names]
    np.testing.assert_array_equal(got, frames)
    assert os.listdir(tmp_path) == ['out']
    with pytest.raises(VideoError, match='overwrite'):
        write(target, frames)
    write(target, frames[:2], overwrite=True)
    assert len(os.listdir(target)) == 2
    assert os.listdir(tmp_path) == ['out']


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'precious.txt').write_text('precious')
    with pytest.raises(VideoError, match=r'precious\.txt'):
        write(tmp_path / 'out', ramp(2), overwrite=True)
    assert os.listdir(tmp_path / 'out') == ['precious.txt']


@pytest.mark.parametrize('suffix', ['.png', '.bmp', '.jpg', '.tif'])
def test_image(tmp_path, suffix):
    frames, path = pictures(2), tmp_path / f'a{suffix}'
    write(path, frames[:1])
    got = np.asarray(Image.open(path).convert('RGB')).astype(int)
    assert np.abs(got - frames[0]).mean() < (3 if suffix == '.jpg' else 1)
    with pytest.raises(VideoError, match='single frame'):
        write(tmp_path / f'b{suffix}', frames)
    assert os.listdir(tmp_path) == [path.name]


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_text('precious')
    with pytest.raises(VideoError, match='exists already'):
        VideoWriter(path, 64, 48)
    assert path.read_text() == 'precious'
    write(path, ramp(2), overwrite=True)
    assert len(read(path)) == 2


@pytest.mark.parametrize('overwrite', [False, True])
def test_the_source_is_never_replaced(tmp_path, overwrite):
    path = write_clip(tmp_path / 'a.mp4', ramp(2))
    link = tmp_path / 'b.mp4'
    link.symlink_to(path)
    data = path.read_bytes()
    for target in (path, link):
        with pytest.raises(VideoError, match='the same'):
            VideoWriter(target, 64, 48, probe(path), overwrite=overwrite)
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ('name', 'options', 'reason'),
    [
        ('a.mp4', {'codec': 'h265'}, "no encoder called 'h265'"),
        ('a.mp4', {'codec': 'aac'}, 'does not encode video'),
        ('a.mp4', {'pix_fmt': 'yuv99'}, "no pixel format 'yuv99'"),
        ('a.mp4', {'crf': 99}, 'crf 99'),
        ('a.xyz', {}, '.xyz is no container that can be written'),
        ('a.webm', {'codec': 'libx264'}, '.webm cannot hold libx264'),
        ('a.ts', {'codec': 'ffv1'}, '.ts cannot hold ffv1; choose libx264'),
        ('no/a.mp4', {}, 'folder does not exist'),
    ],
)
def test_bad_requests_fail_before_any_work(tmp_path, name, options, reason):
    with pytest.raises(VideoError, match=reason) as got:
        VideoWriter(tmp_path / name, 64, 48, **options)
    assert '\n' not in str(got.value)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('name', ['a.mp4', 'a', 'a.png'])
@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_an_exception_leaves_nothing(tmp_path, name, error):
    with pytest.raises(error), VideoWriter(tmp_path / name, 64, 48) as writer:
        writer.write(ramp(2)[0], Fraction(0), Fraction(1, RATE))
        raise error
    assert os.listdir(tmp_path) == []


def test_no_frame_is_no_video(tmp_path):
    with (
        pytest.raises(VideoError, match='no frame'),
        VideoWriter(tmp_path / 'a.mp4', 64, 48),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_wrong_frames_are_refused(tmp_path):
    with (
        pytest.raises(ValueError, match=r'\(48, 64, 3\) uint8'),
        VideoWriter(tmp_path / 'a.mp4', 64, 48) as writer,
    ):
        writer.write(np.zeros((48, 64)), Fraction(0), Fraction(1))


KILLED = """
import sys
from fractions import Fraction
import numpy as np
from star.video.io import VideoWriter
with VideoWriter(sys.argv[1], 64, 48) as writer:
    for i in range(10**9):
        writer.write(np.full((48, 64, 3), i % 256, np.uint8),
                     Fraction(i, 25), Fraction(1, 25))
        if i == 100:
            print('writing', flush=True)
"""


@pytest.mark.parametrize('name', ['a.mp4', 'a'])
def test_kill_leaves_no_file_under_the_name(tmp_path, name):
    command = [sys.executable, '-c', KILLED, str(tmp_path / name)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout.readline() == b'writing\n'
        clock.sleep(0.1)
        process.kill()
    assert not (tmp_path / name).exists()
    assert all(n.startswith('.a.part-') for n in os.listdir(tmp_path))


@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
def test_uneven_frames_end_when_they_should(tmp_path, suffix):
    path, steps = tmp_path / f'a{suffix}', [6, 18, 3, 12, 60]
    with VideoWriter(path, 64, 48) as writer:
        for i, step in enumerate(steps):
            time = Fraction(sum(steps[:i]), 25)
            image = np.full((48, 64, 3), 40 * i, np.uint8)
            writer.write(image, time, Fraction(step, 25))
    with VideoReader(path) as reader:
        frames = [(f.time, f.duration) for f in reader]
    assert frames[-1] == (Fraction(39, 25), Fraction(60, 25))
    with av.open(str(path)) as container:
        assert container.duration == pytest.approx(99 / 25 * 1e6, abs=2e3)


@pytest.mark.skipif(
    not hasattr(av.CodecContext, 'supported_options'),
    reason='PyAV 17 does not list options',
)
def test_encoders_with_a_rate_factor_are_those_of_ffmpeg():
    found = set()
    for name in av.codecs_available:
        try:
            context = av.CodecContext.create(name, 'w')
        except ValueError:  # decodes only
            continue
        if any(o.name == 'crf' for o in context.supported_options.private):
            found.add(context.codec.name)
    assert found and found <= BY_RATE_FACTOR


def test_frames_of_8_bits_of_a_deep_source_are_plain(tmp_path):
    deep = write_clip(
        tmp_path / 'a.mp4',
        [
            av.VideoFrame.from_ndarray(frame, 'rgb24').reformat(
                format='yuv420p10le'
            )
            for frame in ramp(4)
        ],
        codec='libx265',
        pix_fmt='yuv420p10le',
        tags=(1, 9, 9, 16),
        options={'x265-params': 'log-level=none'},
    )
    assert rewrite(deep, tmp_path / 'b.mp4') == ()
    info = probe(tmp_path / 'b.mp4')
    assert (info.codec, info.pix_fmt) == ('h264', 'yuv420p')
    assert (info.color_primaries, info.color_transfer) == (1, 1)
