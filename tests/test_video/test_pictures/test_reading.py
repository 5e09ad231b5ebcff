"""Pictures that FFmpeg does not read by itself, and their facts."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from star.video.info import VideoError
from star.video.io import VideoReader, probe
from star.video.pictures.facts import camera_of, read_facts, upright_size
from tests.test_video.clips import pictures

ALPHA = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
TIMES = [Fraction(0), Fraction(1, 10), Fraction(3, 10), Fraction(6, 10)]


def read(path: Path, depth=8):
    with VideoReader(path) as reader:
        reader.depth, reader.keep_alpha = depth, True
        return list(reader)


@pytest.mark.parametrize('suffix', ['webp', 'avif'])
def test_animation_with_opacity(tmp_path, suffix):
    path, frames = tmp_path / f'a.{suffix}', pictures(4)
    images = [Image.fromarray(np.dstack([frame, ALPHA])) for frame in frames]
    exact = {'lossless': True, 'exact': True} if suffix == 'webp' else {}
    images[0].save(
        path,
        save_all=True,
        append_images=images[1:],
        duration=[100, 200, 300, 450],
        **exact,
    )
    got = read(path)
    assert [frame.time for frame in got] == TIMES
    assert got[-1].duration == Fraction(45, 100)
    for frame, image in zip(got, frames, strict=True):
        assert np.abs(frame.alpha.astype(int) - ALPHA).max() <= 1
        # AVIF is lossy, and most where nothing is seen
        error = np.abs(frame.image[:, 32:].astype(int) - image[:, 32:])
        assert error.mean() <= (0 if suffix == 'webp' else 6)
    assert probe(path).kind == 'video'


def test_still_with_opacity(tmp_path):
    path, (image,) = tmp_path / 'a.avif', pictures(1)
    Image.fromarray(np.dstack([image, ALPHA])).save(path, quality=100)
    (frame,) = read(path)
    assert np.abs(frame.image[:, 32:].astype(int) - image[:, 32:]).mean() < 3
    np.testing.assert_array_equal(frame.alpha, ALPHA)
    assert probe(path).kind == 'image'


def test_palette_with_opacity(tmp_path):
    path, alpha = tmp_path / 'a.png', np.zeros((48, 64), np.uint8)
    alpha[:, 32:] = 255
    image = np.full((48, 64, 3), (200, 10, 0), np.uint8)
    Image.fromarray(np.dstack([image, alpha])).quantize(16).save(path)
    (frame,) = read(path)
    np.testing.assert_array_equal(frame.alpha, alpha)
    np.testing.assert_array_equal(frame.image[:, 32:], image[:, 32:])
    assert probe(path).has_alpha
    Image.fromarray(image).quantize(16).save(path)
    assert not probe(path).has_alpha


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'tif', 'webp', 'avif'])
@pytest.mark.parametrize('orientation', [1, 2, 5, 6, 8])
def test_orientation(tmp_path, suffix, orientation):
    image = np.zeros((24, 40, 3), np.uint8)
    image[:12, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'a.{suffix}'
    Image.fromarray(image).save(path, exif=exif)
    expected = {
        1: image,
        2: image[:, ::-1],
        5: image.swapaxes(0, 1),
        6: np.rot90(image, -1),
        8: np.rot90(image, 1),
    }[orientation]
    (frame,) = read(path)
    assert frame.image.shape == expected.shape
    assert np.abs(frame.image.astype(int) - expected).mean() < 3
    assert upright_size(path) == expected.shape[1::-1]


def test_heic_needs_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pillow_heif', None)
    path = tmp_path / 'a.heic'
    path.write_bytes(b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(64))
    with pytest.raises(VideoError, match=r'pip install "star-vsr\[heic\]"'):
        probe(path)


def test_damaged_heic(tmp_path):
    pytest.importorskip('pillow_heif')
    path = tmp_path / 'a.heic'
    path.write_bytes(b'\0\0\0\x18ftypheic\0\0\0\0mif1heic' + bytes(64))
    with pytest.raises(VideoError, match=r'a\.heic: cannot be read'):
        probe(path)


def test_heic(tmp_path):
    heif = pytest.importorskip('pillow_heif')
    path = tmp_path / 'a.heic'
    image = np.dstack([pictures(1)[0], ALPHA])
    made = heif.from_pillow(Image.fromarray(image))
    made.save(path, quality=-1, chroma=444)
    (frame,) = read(path)
    assert np.abs(frame.image.astype(int) - image[..., :3]).max() <= 3
    np.testing.assert_array_equal(frame.alpha, ALPHA)


def test_heic_of_ten_bits(tmp_path):
    heif = pytest.importorskip('pillow_heif')
    path = tmp_path / 'a.heic'
    image = pictures(1)[0].astype(np.uint16) * 257
    heif.encode('RGB;16', (64, 48), image.tobytes(), path, quality=-1)
    (frame,) = read(path, depth=16)
    assert probe(path).depth == 16
    assert np.abs(frame.image.astype(int) - image).mean() < 1000


@pytest.mark.parametrize('name', ['s%03d.png', '%d.avif', 'a*?[b].png'])
def test_names_are_no_patterns(tmp_path, name):
    (image,) = pictures(1)
    path = tmp_path / name
    Image.fromarray(image).save(path)
    Image.fromarray(image // 2).save(tmp_path / 's001.png')
    (frame,) = read(path)
    assert np.abs(frame.image.astype(int) - image).mean() < 3


@pytest.mark.filterwarnings('error')
def test_pictures_of_any_size(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / 'a.png'
    Image.new('RGB', (64, 48)).save(path, exif=exif)
    assert upright_size(path) == (48, 64)
    assert (probe(path).width, probe(path).height) == (48, 64)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_facts_of_what_is_no_picture(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(b'nothing')
    facts = read_facts(path)
    assert (facts.icc, facts.exif, facts.loops, facts.notes) == (b'',) * 2 + (
        0,
        (),
    )
    assert camera_of(path) == ''
