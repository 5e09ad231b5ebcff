"""Frames with opacity and with 16 bits, and the formats of encoders."""

import av
import numpy as np
import pytest

from star.video import pixels
from tests.test_video.clips import flat_frame, yuv_planes


@pytest.mark.parametrize('pix_fmt', ['yuv420p', 'yuv422p10le', 'yuv444p'])
def test_gray_is_written_with_neutral_chroma(pix_fmt):
    dtype = np.uint16 if 'le' in pix_fmt else np.uint8
    ramp = np.linspace(0, np.iinfo(dtype).max, 64)[None, :, None]
    image = np.broadcast_to(ramp, (32, 64, 3)).astype(dtype)
    _, cb, cr = yuv_planes(pixels.to_yuv(image, pix_fmt))
    neutral = 512 if 'le' in pix_fmt else 128
    assert (cb == neutral).all() and (cr == neutral).all()


def test_16_bits_are_finer_than_8():
    frame = flat_frame('yuv420p10le', 501, 512, 512)
    deep = pixels.to_rgb(frame, 16)
    assert deep.dtype == np.uint16
    wanted = 65535 * (501 - 64) / 876
    assert np.abs(deep - wanted).max() < 8
    assert np.abs(pixels.to_rgb(frame) - wanted / 257).max() <= 1


@pytest.mark.parametrize(('depth', 'peak'), [(8, 255), (16, 65535)])
def test_opacity_of_frames(depth, peak):
    image = np.zeros((8, 16, 4), np.uint8)
    image[..., 3] = np.arange(16) * 17
    frame = av.VideoFrame.from_ndarray(image, 'rgba')
    got = pixels.alpha_of(frame, depth)
    assert (got.shape, got.itemsize) == ((8, 16), depth // 8)
    np.testing.assert_array_equal(got[3], np.arange(16) * (peak // 15))
    image[..., 3] = 255
    assert pixels.alpha_of(av.VideoFrame.from_ndarray(image, 'rgba')) is None
    assert pixels.alpha_of(flat_frame('yuv420p', cb=128, cr=128)) is None


def test_the_matrix_of_bt2020():
    image = np.broadcast_to(np.uint16([60000, 9000, 3000]), (8, 8, 3))
    y, cb, cr = (
        plane[2, 2] / 4
        for plane in yuv_planes(pixels.to_yuv(image, 'yuv444p10le', 9))
    )
    r, g, b = np.array([60000, 9000, 3000]) / 65535
    luma = 0.2627 * r + 0.6780 * g + 0.0593 * b
    assert abs(y - (16 + 219 * luma)) < 0.3
    assert abs(cb - (128 + 224 * (b - luma) / 1.8814)) < 0.3
    assert abs(cr - (128 + 224 * (r - luma) / 1.4746)) < 0.3


def test_notes_depend_on_what_is_kept():
    deep = flat_frame('yuv420p10le', 501, 512, 512)
    lossy = ['10-bit colour is converted to 8 bit']
    assert pixels.conversion_notes(deep) == lossy
    assert pixels.conversion_notes(deep, 16) == []
    image = np.zeros((8, 16, 4), np.uint8)
    clear = av.VideoFrame.from_ndarray(image, 'rgba')
    assert pixels.conversion_notes(clear) == [pixels.ALPHA_NOTE]
    assert pixels.conversion_notes(clear, keep_alpha=True) == []


@pytest.mark.parametrize('depth', [8, 16])
@pytest.mark.parametrize(
    'pix_fmt', ['yuv420p', 'yuv422p10le', 'yuva420p', 'yuv410p', 'rgba']
)
def test_bands_of_rows_give_the_same_frame(monkeypatch, pix_fmt, depth):
    peak = (1 << depth) - 1
    rng = np.random.default_rng(0)
    noise = rng.integers(0, peak + 1, (600, 62, 4))
    image = noise.astype(np.uint8 if depth == 8 else np.uint16)
    alpha = image[..., 3] if pix_fmt in ('yuva420p', 'rgba') else None
    whole = pixels.to_yuv(image[..., :3], pix_fmt, 1, alpha)
    monkeypatch.setattr(pixels, '_WHOLE', 0)
    banded = pixels.to_yuv(image[..., :3], pix_fmt, 1, alpha)
    bits = pixels.format_bits(pix_fmt)
    if pix_fmt == 'rgba':
        np.testing.assert_array_equal(whole.to_ndarray(), banded.to_ndarray())
    for a, b in zip(whole.planes, banded.planes, strict=True):
        values = [pixels.plane_values(plane, bits) for plane in (a, b)]
        np.testing.assert_array_equal(*values)
    assert (whole.colorspace, whole.color_range) == (
        banded.colorspace,
        banded.color_range,
    )
