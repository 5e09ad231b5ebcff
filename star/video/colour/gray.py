"""Frames without colour: how they are found, and how they stay so."""

import av
import numpy as np

from star.video.colour.depth import PEAKS
from star.video.colour.planes import plane_values

_NEUTRAL = 2  # of 255: what noise may add to chroma without colour, and
_TINT = 1  # how far its average may lie off; a tint is further
_BAND = 128  # rows that are converted at once, to bound memory
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # BT.709


def is_gray(frame: av.VideoFrame) -> bool:
    """Return whether a frame has no colour, apart from noise in its chroma.

    A tint, such as that of a sepia picture, is a colour.
    """
    pixel_format = frame.format
    colours = sum(not c.is_alpha for c in pixel_format.components)
    if colours == 1 and not pixel_format.has_palette:
        return True
    if pixel_format.is_rgb or pixel_format.has_palette:
        red, green, blue = np.moveaxis(frame.to_ndarray(format='rgb24'), -1, 0)
        planes = [np.subtract(c, green, dtype=np.int16) for c in (red, blue)]
        return all(_is_neutral(plane) for plane in planes)
    planes, unit = _chroma(frame)
    return all(_is_neutral(plane, 128 * unit, unit) for plane in planes)


def _is_neutral(chroma: np.ndarray, neutral: int = 0, unit: int = 1) -> bool:
    """Return whether chroma is nothing but noise.

    Args:
        chroma: whole numbers, (h, w).
        neutral: the value of no colour.
        unit: 1 / 255 of the range.
    """
    low, high = int(chroma.min()) - neutral, int(chroma.max()) - neutral
    if max(-low, high) > _NEUTRAL * unit:
        return False
    return bool(abs(chroma.mean() - neutral) <= _TINT * unit)


def _chroma(frame: av.VideoFrame) -> tuple[list[np.ndarray], int]:
    """Return both planes of chroma, and 1 / 255 of their range."""
    name, bits = (
        frame.format.name,
        max(c.bits for c in frame.format.components),
    )
    planar = name.startswith(('yuv4', 'yuvj4', 'yuva4'))
    if not planar or frame.format.is_big_endian or not 8 <= bits <= 16:
        frame, bits = frame.reformat(format='yuv444p16le'), 16
    return [plane_values(p, bits) for p in frame.planes[1:3]], 1 << bits - 8


def remove_colour(image: np.ndarray) -> np.ndarray:
    """Replace the colours of an image by their luma (BT.709).

    Args:
        image: pixels, (H, W, 3) uint8 or uint16 RGB.
    """
    gray, peak = np.empty_like(image), PEAKS[8 * image.itemsize]
    for top in range(0, len(image), _BAND):
        rows = slice(top, top + _BAND)
        luma = np.rint(image[rows] @ _LUMA).clip(0, peak)
        gray[rows] = luma.astype(image.dtype)[..., None]
    return gray
