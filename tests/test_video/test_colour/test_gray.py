"""Frames without colour: how they are found, and how they stay so."""

import av
import numpy as np
import pytest

from star.video.colour import gray
from star.video.colour.gray import is_gray, remove_colour
from tests.test_video.clips import flat_frame


@pytest.mark.parametrize(
    ('pix_fmt', 'cb', 'cr', 'noise', 'gray'),
    [
        ('gray', None, None, 0, True),
        ('gray10le', None, None, 0, True),
        ('yuv420p', 128, 128, 0, True),
        ('yuv420p', 128, 128, 2, True),
        ('yuv422p', 127, 128, 1, True),
        ('yuvj444p', 128, 128, 0, True),
        ('yuv420p', 128, 128, 3, False),
        ('yuv420p', 126, 130, 0, False),
        ('yuv420p', 110, 140, 0, False),
        ('yuv420p10le', 512, 512, 8, True),
        ('yuv420p10le', 500, 512, 0, False),
        ('yuv444p12le', 2048, 2048, 0, True),
        ('yuva420p', 128, 128, 0, True),
    ],
)
def test_gray_frames_are_found(pix_fmt, cb, cr, noise, gray):
    frame = flat_frame(pix_fmt, cb=cb, cr=cr, noise=noise)
    assert is_gray(frame) is gray


@pytest.mark.parametrize('name', ['nv12', 'p010le', 'yuyv422', 'yuv444p16be'])
def test_gray_frames_in_other_layouts(name):
    neutral, tinted = (
        flat_frame('yuv420p', cb=cb, cr=128).reformat(format=name)
        for cb in (128, 118)
    )
    assert is_gray(neutral) and not is_gray(tinted)


@pytest.mark.parametrize('name', ['rgb24', 'gbrp', 'bgra', 'rgb48le'])
def test_gray_frames_of_rgb(name):
    image = np.random.default_rng(0).integers(0, 256, (16, 32, 1), np.uint8)
    gray = np.repeat(image, 3, axis=2)
    sepia = np.rint(gray * [1, 0.95, 0.8]).astype(np.uint8)
    for picture, expected in ((gray, True), (sepia, False)):
        frame = av.VideoFrame.from_ndarray(picture, 'rgb24')
        assert is_gray(frame.reformat(format=name)) is expected


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_colours_become_their_luma(dtype):
    peak = np.iinfo(dtype).max
    image = np.array([[[peak, 0, 0], [0, peak, 0], [9, 9, 9]]], dtype)
    got = remove_colour(image)
    assert got.dtype == dtype and got.shape == image.shape
    wanted = [round(0.2126 * peak), round(0.7152 * peak), 9]
    assert np.abs(got - np.array(wanted)[None, :, None]).max() <= 1
    white = np.full((1, 1, 3), peak, dtype)
    np.testing.assert_array_equal(remove_colour(white), white)


def test_bands_of_rows_give_the_same_luma(monkeypatch):
    image = np.random.default_rng(0).integers(0, 256, (70, 9, 3), np.uint8)
    whole = remove_colour(image)
    monkeypatch.setattr(gray, '_BAND', 16)
    np.testing.assert_array_equal(remove_colour(image), whole)
