"""Colours of results: HDR, depth, opacity and black-and-white films."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from star.apis.inference.restore import FileOptions, restore_video
from star.models.editors.interpolation.interpolation import Bicubic
from star.video.colour import hdr
from star.video.encoder import plan_encoding
from star.video.encoding import open_stream
from star.video.io import VideoInfo, VideoReader, VideoWriter, probe
from tests.test_video.clips import pictures, write_clip

HDR = {'color_primaries': 9, 'color_transfer': hdr.PQ, 'depth': 10}


def _write(path, images, alpha=None, codec='ffv1', pix_fmt=None, **facts):
    """Write frames as a source with these facts has them."""
    height, width = images[0].shape[:2]
    source = VideoInfo.of_clip(path.parent, width, height, 25)
    source = replace(source, **facts)
    encoding, _ = plan_encoding(
        codec, pix_fmt, (width, height), 0, source, path.suffix
    )
    with av.open(str(path), 'w') as output:
        stream = open_stream(output, encoding)
        for i, image in enumerate(images):
            frame = encoding.make_frame(image, alpha)
            frame.pts = i
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _restore(src, dst, scale=1, fidelity=0, **files):
    model = Bicubic(scale=scale)
    options = replace(model.restore_options, fidelity=fidelity)
    return restore_video(model, src, dst, options, FileOptions(**files))


def _frames(path, depth=8):
    reader = VideoReader(path)
    reader.depth, reader.keep_alpha = depth, True
    return list(reader)


@pytest.mark.parametrize('fidelity', [0, 1])
def test_hdr_stays_hdr(tmp_path, fidelity):
    ramp = np.linspace(0, 65535, 128)[None, :, None]
    images = [np.broadcast_to(ramp, (64, 128, 3)).astype(np.uint16)] * 4
    src = _write(tmp_path / 'a.mkv', images, **HDR)
    report = _restore(src, tmp_path / 'b.mp4', 1, fidelity, crf=0)
    assert report.notes == ()
    info = probe(tmp_path / 'b.mp4')
    tags = info.color_primaries, info.color_transfer, info.color_matrix
    assert tags == (9, hdr.PQ, 9) and info.pix_fmt == 'yuv420p10le'
    before, after = (
        _frames(path, 16)[0].image.astype(int)
        for path in (src, tmp_path / 'b.mp4')
    )
    assert np.abs(after - before).max() < 3 * 64


def test_hdr_becomes_sdr_on_request(tmp_path):
    images = [np.full((64, 64, 3), 30000, np.uint16)] * 3
    src = _write(tmp_path / 'a.mkv', images, **HDR)
    report = _restore(src, tmp_path / 'b.mp4', pix_fmt='yuv420p')
    note = 'HDR (PQ, 10 bit) is tone mapped to 8-bit SDR BT.709'
    assert report.notes == (note,)
    info = probe(tmp_path / 'b.mp4')
    assert (info.codec, info.color_transfer, info.depth) == ('h264', 1, 8)


def test_10_bits_stay(tmp_path):
    ramp = np.linspace(20000, 24000, 256)[None, :, None]
    images = [np.broadcast_to(ramp, (64, 256, 3)).astype(np.uint16)] * 3
    src = _write(tmp_path / 'a.mkv', images, depth=10)
    report = _restore(src, tmp_path / 'b.mkv', crf=0)
    assert report.notes == ()
    steps = np.unique(_frames(tmp_path / 'b.mkv', 16)[1].image[32, :, 1])
    assert len(steps) > 40  # with 8 bits there are 16


@pytest.mark.parametrize('name', ['b.webm', 'b.mov', 'b.mkv'])
def test_opacity_is_enlarged_and_kept(tmp_path, name):
    alpha = np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    src = _write(tmp_path / 'a.mkv', pictures(3), alpha, has_alpha=True)
    report = _restore(src, tmp_path / name, scale=2)
    assert report.notes == ()
    for frame in _frames(tmp_path / name):
        assert frame.alpha.shape == (96, 128)
        assert frame.alpha[:, :56].max() <= 4
        assert frame.alpha[:, 72:].min() >= 251


def test_opacity_that_is_lost_is_named(tmp_path):
    src = _write(
        tmp_path / 'a.mkv',
        pictures(3),
        np.full((48, 64), 99, np.uint8),
        has_alpha=True,
    )
    report = _restore(src, tmp_path / 'b.mp4')
    assert 'transparency (alpha) is dropped' in report.notes
    assert any('choose .mov, .webm or .mkv' in n for n in report.notes)


def _spread(frame):
    """Return the largest difference of two channels of a pixel."""
    return int(np.ptp(frame.image.astype(int), axis=2).max())


class Tinted(Bicubic):
    """Adds a tint, as networks do."""

    def enlarge(self, frames, size):
        out = super().enlarge(frames, size)
        out[:, 0] = out[:, 0] // 2
        return out


def test_only_frames_without_colour_stay_without(tmp_path):
    colour = pictures(6)
    gray = np.repeat(colour[:3, ..., 1:2], 3, axis=3)
    src = write_clip(tmp_path / 'a.mp4', [*gray, *colour[3:]])
    restore_video(
        Tinted(scale=1),
        src,
        tmp_path / 'b.mkv',
        files=FileOptions(codec='ffv1', pix_fmt='bgr0', cuts='none'),
    )
    found = [_spread(frame) for frame in _frames(tmp_path / 'b.mkv')]
    assert found[:3] == [0, 0, 0] and min(found[3:]) > 50


@pytest.mark.parametrize('fidelity', [0, 1])
@pytest.mark.parametrize('pix_fmt', ['gray', 'gray10le'])
def test_gray_formats_stay_gray(tmp_path, pix_fmt, fidelity):
    gray = np.repeat(pictures(3)[..., 1:2], 3, axis=3)
    depth = 10 if '10' in pix_fmt else 8
    src = _write(tmp_path / 'a.mkv', gray, pix_fmt=pix_fmt, depth=depth)
    report = _restore(src, tmp_path / 'b.mkv', 2, fidelity)
    assert report.notes == ()
    assert max(_spread(f) for f in _frames(tmp_path / 'b.mkv')) == 0
    assert probe(tmp_path / 'b.mkv').depth == depth


def test_a_sepia_film_keeps_its_tint(tmp_path):
    gray = np.repeat(pictures(3)[..., 1:2], 3, axis=3)
    sepia = np.rint(gray * [1, 0.9, 0.7]).astype(np.uint8)
    src = write_clip(tmp_path / 'a.mp4', sepia)
    _restore(src, tmp_path / 'b.mp4')
    before, after = (
        np.mean([f.image.mean((0, 1)) for f in _frames(path)], axis=0)
        for path in (src, tmp_path / 'b.mp4')
    )
    np.testing.assert_allclose(after, before, atol=1)
    assert after[0] - after[2] > 20


def test_odd_sizes_play_as_420(tmp_path):
    path = tmp_path / 'a.mkv'
    with VideoWriter(path, 93, 69, codec='ffv1', pix_fmt='bgr0') as writer:
        for i, image in enumerate(pictures(3, 93, 69)):
            writer.write(image, Fraction(i, 25), Fraction(1, 25))
    report = _restore(path, tmp_path / 'b.mp4')
    assert report.output_size == (93, 69)
    assert any('93x69 is odd' in n and '94x70' in n for n in report.notes)
    with av.open(str(tmp_path / 'b.mp4')) as container:
        stream = container.streams.video[0]
        assert (stream.profile, stream.format.name) == ('High', 'yuv420p')


class Coarse(Bicubic):
    """Knows frames of 8 bits only, as a method from outside may."""

    takes_16_bit = False


def test_a_method_of_8_bits_restores_hdr_as_well(tmp_path):
    images = [np.full((64, 64, 3), 40000, np.uint16)] * 3
    src = _write(tmp_path / 'a.mkv', images, **HDR)
    report = restore_video(Coarse(scale=1), src, tmp_path / 'b.mp4')
    assert 'Coarse restores with 8 bits, the result has more' in report.notes
    image = _frames(tmp_path / 'b.mp4', 16)[0].image.astype(int)
    assert probe(tmp_path / 'b.mp4').hdr
    assert np.abs(image - 40000).max() < 300
