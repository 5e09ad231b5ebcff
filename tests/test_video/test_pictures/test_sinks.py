"""Results that are pictures: pixels, depth, opacity, times, what travels."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from star.video.info import VideoError
from star.video.io import VideoReader, probe
from star.video.pictures.sinks import picture_losses, picture_sink
from tests.test_video.clips import pictures

TIMES = [Fraction(0), Fraction(1, 10), Fraction(3, 10), Fraction(6, 10)]
ENDS = [*TIMES[1:], Fraction(105, 100)]
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
LOSSLESS = ['png', 'tif', 'tiff', 'bmp', 'ppm', 'pnm', 'tga', 'jp2', 'qoi']


def deep_picture():
    """Make 16 bits with every low byte, (48, 64, 3), and opacity."""
    y, x = np.mgrid[0:48, 0:64]
    image = np.stack([x * 1023, y * 1391, x * y * 21 + 5], -1)
    return image.astype(np.uint16), (x * 1040 + 3).astype(np.uint16)


def save(path: Path, frames, alpha=None, source=None, kind='image'):
    """Write frames with `TIMES` through a sink."""
    sink = picture_sink(kind, path, source)
    sink.begin()
    for image, time, end in zip(frames, TIMES, ENDS, strict=False):
        sink.write(image, time, end - time, alpha)
    sink.finish()
    return path


def played(path: Path):
    """Read an animation with Pillow: RGBA frames, durations, loops."""
    with Image.open(path) as image:
        frames, lengths = [], []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.asarray(image.convert('RGBA')))
            lengths.append(image.info['duration'])
        return np.stack(frames), lengths, image.info.get('loop')


@pytest.mark.parametrize('suffix', [*LOSSLESS, 'webp', 'avif', 'jpg', 'jfif'])
def test_pixels_of_a_still(tmp_path, suffix):
    (image,) = pictures(1)
    kind = 'animation' if suffix in ('webp', 'avif') else 'image'
    path = save(tmp_path / f'a.{suffix}', [image], kind=kind)
    got = np.asarray(Image.open(path).convert('RGB')).astype(int)
    limit = 0 if suffix in [*LOSSLESS, 'webp'] else 6
    assert np.abs(got - image).max() <= limit


@pytest.mark.parametrize('suffix', ['png', 'tif', 'ppm'])
def test_sixteen_bits_stay(tmp_path, suffix):
    image, _ = deep_picture()
    path = save(tmp_path / f'a.{suffix}', [image])
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored[..., ::-1], image)
    with VideoReader(path) as reader:
        reader.depth = 16
        (frame,) = reader
    np.testing.assert_array_equal(frame.image, image)


def test_sixteen_bits_become_eight_where_no_more_fit(tmp_path):
    image, _ = deep_picture()
    path = save(tmp_path / 'a.bmp', [image])
    expected = np.rint(image / 257)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)
    deep = save(tmp_path / 'deep.png', [image])
    assert picture_losses('image', path, probe(deep)) == [
        '16 bits become 8 in .bmp; .png keeps them'
    ]


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_opacity_of_sixteen_bits(tmp_path, suffix):
    image, alpha = deep_picture()
    path = save(tmp_path / f'a.{suffix}', [image], alpha)
    with VideoReader(path) as reader:
        reader.depth, reader.keep_alpha = 16, True
        (frame,) = reader
    np.testing.assert_array_equal(frame.image, image)
    np.testing.assert_array_equal(frame.alpha, alpha)


@pytest.mark.parametrize('suffix', ['png', 'tif', 'webp', 'tga', 'avif'])
def test_opacity(tmp_path, suffix):
    (image,) = pictures(1)
    alpha = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    kind = 'animation' if suffix in ('webp', 'avif') else 'image'
    path = save(tmp_path / f'a.{suffix}', [image], alpha, kind=kind)
    got = np.asarray(Image.open(path))
    assert np.abs(got[..., 3].astype(int) - alpha).max() <= (suffix == 'avif')


def test_a_picture_holds_one_frame(tmp_path):
    with pytest.raises(VideoError, match='single frame'):
        save(tmp_path / 'a.png', pictures(2))


def test_pgm_holds_no_colour(tmp_path):
    gray = np.repeat(pictures(1)[0][..., :1], 3, -1)
    path = save(tmp_path / 'a.pgm', [gray])
    np.testing.assert_array_equal(np.asarray(Image.open(path)), gray[..., 0])
    with pytest.raises(VideoError, match='no colour'):
        save(tmp_path / 'b.pgm', pictures(1))


@pytest.mark.parametrize('suffix', ['gif', 'apng', 'webp', 'avif', 'png'])
def test_animation_keeps_frames_and_times(tmp_path, suffix):
    frames = pictures(4)
    path = save(tmp_path / f'a.{suffix}', frames, kind='animation')
    got, lengths, loops = played(path)
    assert lengths == [100, 200, 300, 450]
    assert loops == (None if suffix == 'avif' else 0)
    error = np.abs(got[..., :3].astype(int) - frames)
    limits = {'gif': 6, 'avif': 1}  # mean: 256 colours, lossy
    assert error.mean() <= limits.get(suffix, 0)
    assert (got[..., 3] == 255).all()


@pytest.mark.parametrize('suffix', ['apng', 'webp', 'avif'])
def test_animation_keeps_opacity(tmp_path, suffix):
    alpha = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
    frames = pictures(2)
    path = save(tmp_path / f'a.{suffix}', frames, alpha, kind='animation')
    got, *_ = played(path)
    assert np.abs(got[..., 3].astype(int) - alpha).max() <= 1


def test_opacity_of_a_gif_is_all_or_nothing(tmp_path):
    alpha = np.repeat(np.uint8([0, 255]), 32)[None].repeat(48, 0)
    path = save(tmp_path / 'a.gif', pictures(2), alpha, kind='animation')
    got, *_ = played(path)
    np.testing.assert_array_equal(got[..., 3], [alpha, alpha])


def test_deep_apng(tmp_path):
    image, alpha = deep_picture()
    path = save(
        tmp_path / 'a.apng', [image, image // 2], alpha, kind='animation'
    )
    with VideoReader(path) as reader:
        reader.depth, reader.keep_alpha = 16, True
        first, second = reader
    np.testing.assert_array_equal(first.image, image)
    np.testing.assert_array_equal(second.image, image // 2)
    np.testing.assert_array_equal(second.alpha, alpha)


@pytest.mark.parametrize('loops', [0, 1, 3])
@pytest.mark.parametrize('suffix', ['gif', 'apng', 'webp'])
def test_loops_are_kept(tmp_path, suffix, loops):
    images = [Image.fromarray(frame) for frame in pictures(2)]
    src = tmp_path / f'src.{suffix}'
    options = {} if suffix == 'gif' and loops == 1 else {'loop': loops}
    images[0].save(
        src,
        {'apng': 'PNG'}.get(suffix),
        save_all=True,
        append_images=images[1:],
        duration=100,
        **options,
    )
    path = tmp_path / f'a.{suffix}'
    save(path, pictures(4), source=probe(src), kind='animation')
    stored = played(path)[2]
    assert stored == options.get('loop')


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'tif', 'webp', 'avif'])
@pytest.mark.parametrize('source', ['jpg', 'tif'])
def test_profile_and_exif_travel(tmp_path, source, suffix):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, 'Maker'
    exif.get_ifd(0x8769)[0x9003] = '2001:02:03 04:05:06'
    exif.get_ifd(0x8769)[0xA002] = 4000
    src = tmp_path / f'src.{source}'
    image = Image.fromarray(pictures(1)[0])
    image.save(src, icc_profile=ICC, exif=exif)
    inner = {0x9003: '2001:02:03 04:05:06'} if source == 'jpg' else {}
    path = tmp_path / f'a.{suffix}'
    kind = 'animation' if suffix in ('webp', 'avif') else 'image'
    save(path, pictures(1, 48, 64), source=probe(src), kind=kind)
    with Image.open(path) as got:
        found = got.getexif()
        assert got.info['icc_profile'] == ICC
        assert found[0x010F] == 'Maker'
        assert found.get(0x0112, 1) == 1
        assert found.get_ifd(0x8769) == inner
    assert picture_losses(kind, path, probe(src)) == []


def test_profiles_are_read_again_and_again(tmp_path):
    src = tmp_path / 'a.png'
    Image.fromarray(pictures(1)[0]).save(src, icc_profile=ICC)
    for _ in range(50):  # PyAV frees a profile that FFmpeg still uses
        assert probe(src).rotation == 0


def test_losses_are_named(tmp_path):
    src = tmp_path / 'a.png'
    exif = Image.Exif()
    exif[0x010F] = 'Maker'
    clear = np.dstack([pictures(1)[0], np.full((48, 64), 9, np.uint8)])
    Image.fromarray(clear).save(src, icc_profile=ICC, exif=exif)
    notes = picture_losses('image', Path('a.ppm'), probe(src))
    assert notes == [
        'transparency is not kept in .ppm; .png keeps it',
        'the colour profile is not kept in .ppm',
        'EXIF data is not kept in .ppm',
    ]
    cmyk = tmp_path / 'a.jpg'
    profile = ICC[:16] + b'CMYK' + ICC[20:]
    image = Image.fromarray(pictures(1)[0]).convert('CMYK')
    image.save(cmyk, icc_profile=profile)
    notes = picture_losses('image', Path('a.png'), probe(cmyk))
    assert notes == ['the colour profile, for CMYK, is not kept']


def test_folder_of_deep_pictures_with_opacity(tmp_path):
    image, alpha = deep_picture()
    path = save(tmp_path / 'a', [image, image], alpha, kind='folder')
    names = sorted(item.name for item in path.iterdir())
    assert names == ['00000000.png', '00000001.png']
    stored = cv2.imread(str(path / names[1]), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored[..., 2::-1], image)
    np.testing.assert_array_equal(stored[..., 3], alpha)


def test_largest_sides(tmp_path):
    path = tmp_path / 'a.webp'
    assert picture_losses('animation', path, None, (16383, 9)) == []
    with pytest.raises(VideoError, match=r'at most 16383 pixels.* 9x16384'):
        picture_losses('animation', path, None, (9, 16384))


def test_unknown_pictures_are_refused(tmp_path):
    with pytest.raises(VideoError, match=r'\.exr: no image format'):
        picture_losses('image', tmp_path / 'a.exr', None)


def test_sinks_leave_nothing(tmp_path):
    for kind, name in (('image', 'a.png'), ('animation', 'a.gif')):
        sink = picture_sink(kind, tmp_path / name, None)
        sink.begin()
        sink.write(pictures(1)[0], TIMES[0], TIMES[1], None)
        sink.discard()
    assert not list(tmp_path.iterdir())
