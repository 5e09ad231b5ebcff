"""Encoders, formats and tags for each kind of source and container."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from star.video.colour import hdr
from star.video.colour.light import Light
from star.video.encoder import plan_encoding
from star.video.encoding import open_stream
from star.video.info import VideoError, VideoInfo
from star.video.io import VideoReader, VideoWriter, probe
from tests.test_video.clips import pictures, write_clip, yuv_planes

SIZE = 256, 128
PLAIN = VideoInfo.of_clip(Path(), *SIZE, 25)
DEEP = replace(PLAIN, depth=10, pix_fmt='yuv420p10le')
DISPLAY = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329, 0.005, 1000.0)
PQ = replace(
    DEEP,
    color_primaries=9,
    color_transfer=hdr.PQ,
    light=Light(DISPLAY, (1000, 400)),
)
HLG = replace(DEEP, color_transfer=hdr.HLG)
CLEAR = replace(PLAIN, has_alpha=True, pix_fmt='bgra')
DEEP_CLEAR = replace(DEEP, has_alpha=True, depth=12, pix_fmt='yuva444p12le')


def plan(source, suffix, codec=None, pix_fmt=None, size=SIZE):
    """Plan an encoding with a usual rate factor."""
    return plan_encoding(codec, pix_fmt, size, 17, source, suffix)


@pytest.mark.parametrize(
    ('source', 'suffix', 'codec', 'pix_fmt', 'expected'),
    [
        (PLAIN, '.mp4', None, None, 'libx264 yuv420p'),
        (PLAIN, '.MOV', None, 'auto', 'libx264 yuv420p'),
        (PLAIN, '.webm', None, None, 'libvpx-vp9 yuv420p'),
        (PLAIN, '.ogv', None, None, 'libvpx yuv420p'),
        (PLAIN, '.m2v', None, None, 'mpeg2video yuv420p'),
        (PLAIN, '.mp4', None, 'yuv420p10le', 'libx265 yuv420p10le'),
        (PLAIN, '.mov', 'prores_ks', None, 'prores_ks yuv422p10le'),
        (PLAIN, '.avi', 'mjpeg', None, 'mjpeg yuvj420p'),
        (CLEAR, '.avi', None, 'yuva420p', 'ffv1 yuva420p'),
        (DEEP, '.mp4', None, None, 'libx265 yuv420p10le'),
        (DEEP, '.webm', 'auto', None, 'libsvtav1 yuv420p10le'),
        (DEEP, '.mp4', None, 'yuv420p', 'libx264 yuv420p'),
        (DEEP, '.mp4', 'libx264', 'yuv420p10le', 'libx264 yuv420p10le'),
        (DEEP, '.mkv', 'ffv1', None, 'ffv1 yuv420p10le'),
        (PQ, '.mp4', None, None, 'libx265 yuv420p10le'),
        (HLG, '.mov', None, None, 'libx265 yuv420p10le'),
        (CLEAR, '.mov', None, None, 'prores_ks yuva444p10le'),
        (CLEAR, '.webm', None, None, 'libvpx-vp9 yuva420p'),
        (CLEAR, '.mkv', None, None, 'ffv1 yuva444p'),
        (CLEAR, '.mov', 'png', None, 'png rgba'),
        (DEEP_CLEAR, '.mkv', None, None, 'ffv1 yuva444p12le'),
    ],
)
def test_encoder_and_format_suit_source_and_container(
    source, suffix, codec, pix_fmt, expected
):
    encoding, notes = plan(source, suffix, codec, pix_fmt)
    assert f'{encoding.codec} {encoding.pix_fmt}' == expected
    assert encoding.depth == (8 if encoding.bits == 8 else 16)
    assert encoding.alpha == source.has_alpha
    if pix_fmt != 'yuv420p':
        assert notes == []


@pytest.mark.parametrize(
    ('source', 'suffix', 'codec', 'notes'),
    [
        (
            PQ,
            '.mp4',
            'libx264',
            [
                'HDR (PQ, 10 bit) is tone mapped to 8-bit SDR BT.709',
                'libx264 in .mp4 has 8 bits: leave out --codec to keep the '
                'depth',
            ],
        ),
        (
            DEEP,
            '.avi',
            None,
            [
                '10-bit colour is converted to 8 bit',
                'libx264 in .avi has 8 bits: choose .mp4, .mov or .mkv to '
                'keep the depth',
            ],
        ),
        (
            CLEAR,
            '.mp4',
            None,
            [
                'transparency (alpha) is dropped',
                'libx264 in .mp4 holds no transparency: choose .mov, .webm '
                'or .mkv without --codec, or a folder of PNGs',
            ],
        ),
        (
            PQ,
            '.mov',
            'prores_ks',
            [
                'prores_ks does not keep the mastering display and the '
                'light levels of HDR; --codec libx265 does'
            ],
        ),
        (
            HLG,
            '.avi',
            'ffv1',
            [
                'ffv1 in .avi has no place for the tags of HDR: players '
                'will show it pale; choose .mkv'
            ],
        ),
        (
            replace(DEEP, depth=12),
            '.mp4',
            None,
            ['12-bit colour is written with 10 bits'],
        ),
    ],
)
def test_losses_are_named_before_the_work(source, suffix, codec, notes):
    assert plan(source, suffix, codec)[1] == notes


def test_an_8_bit_format_that_was_asked_for_is_sdr():
    encoding, notes = plan(PQ, '.mp4', pix_fmt='yuv420p')
    assert notes == ['HDR (PQ, 10 bit) is tone mapped to 8-bit SDR BT.709']
    tags = encoding.primaries, encoding.transfer, encoding.matrix
    assert tags == (1, 1, 1)


@pytest.mark.parametrize(
    ('codec', 'pix_fmt', 'suffix', 'reason'),
    [
        ('libx264', None, '.webm', r'\.webm cannot hold libx264; choose lib'),
        ('prores_ks', None, '.mp4', r'\.mp4 cannot hold prores_ks; choose'),
        ('huffyuv', None, '.mkv', r'a suffix such as \.mov'),
        ('h265', None, '.mp4', "no encoder called 'h265'"),
        ('aac', None, '.mp4', "'aac' does not encode video"),
        ('mpeg4', 'yuv444p', '.mp4', "no pixel format 'yuv444p', only yuv4"),
        (None, 'yuv99', '.mp4', "there is no pixel format 'yuv99'"),
        (None, 'yuva420p', '.flv', r"format 'yuva420p' of an encoder for \."),
        (None, None, '.xyz', r'\.xyz is no container'),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_line(
    codec, pix_fmt, suffix, reason
):
    with pytest.raises(VideoError, match=reason) as got:
        plan(PLAIN, suffix, codec, pix_fmt)
    assert '\n' not in str(got.value)


@pytest.mark.parametrize(
    ('suffix', 'codec', 'source'),
    [
        ('.mp4', None, PQ),
        ('.mkv', None, HLG),
        ('.webm', None, PQ),
        ('.mov', 'prores_ks', HLG),
        ('.mkv', 'ffv1', PQ),
    ],
)
def test_hdr_is_tagged(tmp_path, suffix, codec, source):
    encoding, _ = plan(source, suffix, codec)
    path = tmp_path / f'a{suffix}'
    image = np.full((SIZE[1], SIZE[0], 3), 40000, np.uint16)
    with av.open(str(path), 'w') as output:
        stream = open_stream(output, encoding)
        for i in range(4):
            frame = encoding.make_frame(image)
            frame.pts = i
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    info = probe(path)
    tags = info.color_primaries, info.color_transfer, info.color_matrix
    assert tags == (9, source.color_transfer, 9)
    assert info.color_range == 1 and info.depth == 10 and info.hdr
    kept = encoding.codec in ('libx265', 'libsvtav1')
    if kept and source is PQ:
        assert info.light.levels == (1000, 400)
        assert info.light.display == pytest.approx(DISPLAY, abs=2e-4)
    if suffix == '.mp4':
        with av.open(str(path)) as container:
            tag = container.streams.video[0].codec_context.codec_tag
            assert tag == 'hvc1'


@pytest.mark.parametrize(
    ('name', 'codec'),
    [
        ('a.avi', 'mpeg4'),
        ('a.avi', 'ffv1'),
        ('a.mov', 'mjpeg'),
        ('a.mkv', 'libvpx'),
        ('a.flv', 'flv'),
        ('a.ogv', None),
        ('a.mpg', 'mpeg2video'),
    ],
)
def test_colours_are_right_where_no_tag_names_the_matrix(
    tmp_path, name, codec
):
    image = np.broadcast_to(np.uint8([200, 40, 30]), (64, 64, 3))
    with VideoWriter(tmp_path / name, 64, 64, codec=codec) as writer:
        for i in range(2):
            writer.write(image.copy(), Fraction(i, 25), Fraction(1, 25))
    found = next(iter(VideoReader(tmp_path / name))).image[32, 32]
    assert np.abs(found.astype(int) - image[0, 0]).max() <= 4


@pytest.mark.parametrize(
    ('codec', 'size', 'new', 'word'),
    [
        (None, (93, 69), (94, 70), 'row and column'),
        ('libx265', (128, 69), (128, 70), 'row'),
        ('prores_ks', (93, 68), (94, 68), 'column'),
    ],
)
def test_odd_sizes_grow_and_say_so(codec, size, new, word):
    encoding, notes = plan(PLAIN, '.mov', codec, size=size)
    assert (encoding.width, encoding.height) == new
    assert '444' not in encoding.pix_fmt
    old, now = ('{}x{}'.format(*s) for s in (size, new))
    assert f'{old} is odd' in notes[0] and f'written as {now}' in notes[0]
    assert f'the last {word} repeated' in notes[0]
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    frame = encoding.make_frame(image)
    assert (frame.width, frame.height) == new
    luma = yuv_planes(frame)[0]
    if 'row' in word:
        np.testing.assert_array_equal(luma[-1], luma[-2])
    if 'column' in word:
        np.testing.assert_array_equal(luma[:, -1], luma[:, -2])


@pytest.mark.parametrize(
    ('suffix', 'codec', 'pix_fmt'),
    [
        ('.mp4', None, 'yuv444p'),
        ('.webm', None, None),
        ('.mp4', 'libsvtav1', None),
        ('.mkv', 'ffv1', None),
    ],
)
def test_odd_sizes_stay_where_the_encoder_can(suffix, codec, pix_fmt):
    encoding, notes = plan(PLAIN, suffix, codec, pix_fmt, (93, 69))
    assert (encoding.width, encoding.height) == (93, 69)
    assert notes == []


@pytest.mark.parametrize('stamps', [range(12), (0, 1, 2, 5, 6, 12, 13, 30)])
def test_avi_keeps_times_at_its_rate(tmp_path, stamps):
    times = [Fraction(n, 25) for n in stamps]
    frames = pictures(len(times))
    source = write_clip(tmp_path / 'a.mp4', frames, times)
    info = probe(source)
    with VideoWriter(tmp_path / 'b.avi', 64, 48, info) as writer:
        for image, time in zip(frames, times, strict=True):
            writer.write(image, time, Fraction(1, 25))
    found = [frame.time for frame in VideoReader(tmp_path / 'b.avi')]
    if stamps == range(12):
        assert probe(tmp_path / 'b.avi').fps == 25
    error = max(abs(a - b) for a, b in zip(found, times, strict=True))
    assert error < Fraction(1, 100)
