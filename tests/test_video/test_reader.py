"""Tests of reading: frames, times, colours and orientation."""

import itertools
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from star.video.colour import hdr
from star.video.io import VideoError, VideoReader, count_frames
from tests.test_video.clips import RATE, images, pictures, ramp, write_clip
from tests.test_video.flashes import rewrite

LIMITED, FULL = 1, 2


def times(path, **options):
    return [frame.time for frame in VideoReader(path, **options)]


def test_lossless_rgb_comes_back_exactly(tmp_path):
    frames = pictures(5)
    path = write_clip(tmp_path / 'a.mkv', frames, codec='ffv1', pix_fmt='bgr0')
    np.testing.assert_array_equal(images(path), frames)


def test_order_count_and_length(tmp_path):
    path = write_clip(tmp_path / 'a.mp4', ramp(12), options={'bf': '3'})
    means = images(path).mean((1, 2, 3))
    np.testing.assert_allclose(means, np.linspace(40, 220, 12), atol=2)
    reader = VideoReader(path, num_frames=5)
    assert len(list(reader)) == len(list(reader)) == reader.count() == 5
    assert (reader.info.num_frames, reader.info.fps) == (12, RATE)


@pytest.mark.parametrize('num_frames', [0, -1])
def test_num_frames_must_be_positive(clip, num_frames):
    with pytest.raises(ValueError, match='num_frames'):
        VideoReader(clip, num_frames=num_frames)


def _encode_yuv(rgb, matrix, full):
    """Turn one colour into Y'CbCr codes by the definition of the standard."""
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[
        matrix
    ]
    r, g, b = np.array(rgb) / 255
    luma = kr * r + (1 - kr - kb) * g + kb * b
    chroma = (b - luma) / (2 - 2 * kb), (r - luma) / (2 - 2 * kr)
    y = 255 * luma if full else 16 + 219 * luma
    scale = 255 if full else 224
    return np.rint([y, *(128 + scale * c for c in chroma)]).astype(np.uint8)


def _solid(rgb, matrix, full, pix_fmt, height=32):
    frame = av.VideoFrame(32, height, pix_fmt)
    codes = _encode_yuv(rgb, matrix, full)
    for plane, code in zip(frame.planes, codes, strict=True):
        plane.update(bytes([code]) * plane.buffer_size)
    return frame


@pytest.mark.parametrize('full', [False, True])
@pytest.mark.parametrize('matrix', [1, 6, 9])
@pytest.mark.parametrize('pix_fmt', ['yuv420p', 'yuv444p'])
def test_colours_follow_matrix_and_range(tmp_path, full, matrix, pix_fmt):
    colours = [(230, 40, 30), (20, 200, 90), (255,) * 3, (0,) * 3]
    frames = [_solid(c, matrix, full, pix_fmt) for c in colours]
    tags = (FULL if full else LIMITED, matrix, 1, 1)
    path = write_clip(
        tmp_path / 'a.mkv', frames, codec='ffv1', pix_fmt=pix_fmt, tags=tags
    )
    error = images(path) - np.array(colours)[:, None, None]
    assert np.abs(error).max() <= 2


@pytest.mark.parametrize(('height', 'matrix'), [(576, 6), (720, 1)])
def test_untagged_colours_follow_the_height(tmp_path, height, matrix):
    rgb = (230, 40, 30)
    frame = _solid(rgb, matrix, False, 'yuv420p', height)
    path = write_clip(tmp_path / 'a.mkv', [frame], codec='ffv1')
    assert np.abs(images(path)[0].astype(int) - rgb).max() <= 2


@pytest.mark.parametrize('degrees', [0, 90, 180, 270])
@pytest.mark.parametrize('hflip', [False, True])
def test_display_matrix_is_applied(tmp_path, degrees, hflip):
    frames = pictures(2, 64, 48)
    path = write_clip(
        tmp_path / 'a.mov',
        frames,
        codec='prores_ks',
        pix_fmt='yuv444p10le',
        rotation=degrees,
        hflip=hflip,
        aspect=2,
    )
    reader = VideoReader(path)
    # FFmpeg counts anticlockwise, and mirrors what is displayed
    expected = np.rot90(frames[0], degrees // 90)
    expected = expected[:, ::-1] if hflip else expected
    got = next(iter(reader)).image
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).mean() < 4
    assert (reader.info.width, reader.info.height) == expected.shape[1::-1]
    ratio = Fraction(1, 2) if degrees % 180 else 2
    assert reader.info.sample_aspect_ratio == ratio
    reader.close()


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.webp', '.tif'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation(tmp_path, orientation, suffix):
    path = tmp_path / f'a{suffix}'
    image = Image.fromarray(pictures(1)[0])
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(path, exif=exif, quality=100)
    expected = ImageOps.exif_transpose(Image.open(path)).convert('RGB')
    error = images(path)[0].astype(int) - np.asarray(expected)
    assert np.abs(error).mean() < 2


def test_variable_rate_is_kept(tmp_path):
    stamps = [Fraction(n, 1000) for n in (0, 33, 67, 567, 600, 1600)]
    path = write_clip(tmp_path / 'a.mp4', ramp(6), stamps)
    frames = list(VideoReader(path))
    assert [f.time for f in frames] == stamps
    gaps = [b - a for a, b in itertools.pairwise(stamps)]
    assert [f.duration for f in frames[:-1]] == gaps
    assert frames[-1].duration > 0


def test_missing_timestamps_are_made(tmp_path):
    path = write_clip(tmp_path / 'a.264', ramp(8), format='h264')
    reader = VideoReader(path)
    assert [f.time for f in reader] == [Fraction(i, RATE) for i in range(8)]
    assert 'timestamps are missing' in reader.notes[0]


def test_avi_has_a_constant_rate(tmp_path):
    path = write_clip(tmp_path / 'a.avi', ramp(8), options={'bf': '2'})
    assert times(path) == [Fraction(i, RATE) for i in range(8)]


def test_times_that_stand_still_are_moved(tmp_path):
    path = tmp_path / 'a.mkv'
    with av.open(str(path), 'w') as output:
        stream = output.add_stream('ffv1', rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'bgr0'
        for i, image in enumerate(ramp(5)):
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            frame.pts = i
            for packet in stream.encode(frame):
                packet.pts = packet.dts = (0, 1, 1, 1, 4)[packet.pts]
                output.mux(packet)
    reader = VideoReader(path)
    half = Fraction(1, 2 * RATE)
    assert [f.time for f in reader] == [
        0,
        2 * half,
        3 * half,
        4 * half,
        8 * half,
    ]
    assert 'timestamps that do not rise are moved' in reader.notes


def test_interlaced_keeps_its_frames(tmp_path):
    frames = pictures(7, 64, 64)
    options = {'x264-params': 'tff=1', 'crf': '10'}
    path = write_clip(tmp_path / 'a.mp4', frames, options=options)
    reader = VideoReader(path)
    got = np.stack([f.image for f in reader])
    assert 'deinterlaced' in ' '.join(reader.notes)
    assert len(got) == 7
    assert times(path) == [Fraction(i, RATE) for i in range(7)]
    assert np.abs(got.astype(int) - frames).mean() < 8


def test_deep_gray_and_transparent_images(tmp_path):
    image = pictures(1)[0]
    deep = image.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / 'deep.png'), deep[..., ::-1])
    cv2.imwrite(str(tmp_path / 'gray.tif'), deep[..., 0])
    alpha = Image.fromarray(np.dstack([image, image[..., :1]]))
    alpha.save(tmp_path / 'alpha.png')
    gray = np.repeat(image[..., :1], 3, axis=2)
    for name, expected, note in (
        ('deep.png', image, '16-bit colour is converted to 8 bit'),
        ('gray.tif', gray, '16-bit colour is converted to 8 bit'),
        ('alpha.png', image, 'transparency (alpha) is dropped'),
    ):
        reader = VideoReader(tmp_path / name)
        got = next(iter(reader)).image
        assert np.abs(got.astype(int) - expected).max() <= 1
        assert note in reader.notes
        assert (reader.info.kind, reader.info.num_frames) == ('image', 1)
        reader.close()


NAMES = ('f1.png', 'f2.PNG', 'f10.png')


def test_folder_in_natural_order(tmp_path):
    frames = pictures(3)
    for name, frame in zip(NAMES, frames, strict=True):
        Image.fromarray(frame).save(tmp_path / name)
    (tmp_path / 'readme.txt').write_text('no image')
    (tmp_path / '.hidden.png').write_text('no image')
    reader = VideoReader(tmp_path, fps=10)
    got = list(reader)
    np.testing.assert_array_equal([f.image for f in got], frames)
    assert [f.time for f in got] == [Fraction(i, 10) for i in range(3)]
    assert reader.notes == ('entries of the folder that are not images: 1',)


def test_mixed_sizes_in_a_folder(tmp_path):
    for i, frame in enumerate(pictures(3)):
        Image.fromarray(frame[: 48 - i]).save(tmp_path / f'{i}.png')
    with pytest.raises(VideoError, match='64x48 to 64x47 at frame 1'):
        count_frames(tmp_path)
    assert count_frames(tmp_path, allow_partial=True) == 1


def test_size_change_within_a_stream(tmp_path):
    one = write_clip(tmp_path / 'a.264', pictures(4), format='h264')
    big = pictures(4, 96, 64)
    two = write_clip(tmp_path / 'b.264', big, format='h264')
    both = tmp_path / 'c.264'
    both.write_bytes(one.read_bytes() + two.read_bytes())
    with pytest.raises(VideoError, match='64x48 to 96x64 at frame 4'):
        count_frames(both)
    assert count_frames(both, num_frames=4) == 4
    assert count_frames(both, allow_partial=True) == 4


@pytest.mark.parametrize('transfer', [hdr.PQ, hdr.HLG])
def test_diffuse_white_and_black_of_hdr(transfer):
    # BT.2408: 203 cd/m2 is 58 % of PQ and 75 % of HLG
    white = {hdr.PQ: 0.5807, hdr.HLG: 0.75}[transfer]
    codes = np.array([0, white, 1])[:, None, None] * 65535
    image = np.repeat(codes.round().astype(np.uint16), 3, axis=2)
    black, middle, top = hdr.tone_map(image, transfer)[:, 0, 0]
    rolled = 0.75 + 0.25 * 0.25 / (0.25 + 0.25)
    assert black == 0
    assert abs(int(middle) - 255 * rolled ** (1 / 2.4)) <= 1
    assert middle < top <= 255


def test_hdr_is_named(tmp_path):
    # with one frame FFmpeg's H.265 fails now and then
    grey = np.full((64, 64), 1 << 15, np.uint16)
    frames = [
        av.VideoFrame.from_ndarray(grey, 'gray16le').reformat(
            format='yuv420p10le'
        )
        for _ in range(4)
    ]
    path = write_clip(
        tmp_path / 'a.mp4',
        frames,
        codec='libx265',
        pix_fmt='yuv420p10le',
        tags=(LIMITED, 9, 9, hdr.PQ),
        options={'x265-params': 'log-level=none'},
    )
    reader = VideoReader(path)
    next(iter(reader))
    assert reader.notes == (
        'HDR (PQ, 10 bit) is tone mapped to 8-bit SDR BT.709',
    )
    info = reader.info
    assert (info.color_primaries, info.color_transfer) == (9, hdr.PQ)


def test_closing_ends_an_iteration(clip):
    with VideoReader(clip) as reader:
        frames = iter(reader)
        next(frames)
    assert list(frames) == []


def test_frames_that_are_skipped(clip):
    reader = VideoReader(clip)
    whole = list(reader)
    rest = list(reader.frames(skip=7))
    assert [f.time for f in rest] == [f.time for f in whole[7:]]
    for one, other in zip(rest, whole[7:], strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert list(reader.frames(skip=20)) == []


def test_counting_reports_progress(clip, monkeypatch):
    monkeypatch.setattr('star.video.reader._PROGRESS_INTERVAL', 0)
    seen = []
    assert VideoReader(clip).count(seen.append) == 20
    assert seen == list(range(1, 21))


@pytest.mark.parametrize('kind', ['.gif', '.png'])
@pytest.mark.parametrize('suffix', ['.mp4', '.mkv'])
@pytest.mark.parametrize('count', [2, 6, 7])
def test_the_last_frame_lasts(tmp_path, kind, suffix, count):
    frames = [Image.fromarray(frame) for frame in pictures(count)]
    lengths = [100] * (count - 1) + [800]
    source, target = tmp_path / f'a{kind}', tmp_path / f'b{suffix}'
    frames[0].save(
        source, save_all=True, append_images=frames[1:], duration=lengths
    )
    rewrite(source, target)
    got = list(VideoReader(target))
    assert [f.time * 10 for f in got] == list(range(count))
    assert got[-1].duration == Fraction(8, 10)
    with av.open(str(target)) as container:
        assert container.duration == (count - 1) * 100_000 + 800_000


def test_the_last_frame_lasts_no_tick(tmp_path):
    # a header of 1000 frames per second, as some programs write
    with av.open(str(tmp_path / 'a.mkv'), 'w') as output:
        stream = output.add_stream('libx264', rate=1000)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for i, image in enumerate(pictures(6)):
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            frame.pts, frame.time_base = 40 * i, Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with VideoReader(tmp_path / 'a.mkv') as reader:
        assert [f.duration for f in reader] == 6 * [Fraction(1, 25)]
