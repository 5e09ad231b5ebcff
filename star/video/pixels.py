"""Pixel formats: decoded frames to upright 8-bit SDR RGB, and to YUV."""

from enum import IntEnum
from fractions import Fraction
from functools import lru_cache
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import ColorRange

PQ, HLG = 16, 18  # H.273 transfer characteristics
_UNKNOWN = 2  # H.273 matrix coefficients
# swscale's BICUBIC, FULL_CHR_H_INT, FULL_CHR_H_INP and ACCURATE_RND; PyAV 17,
# the last for Python 3.10, has no names for the last three
_FLAGS = 0x4 | 0x2000 | 0x4000 | 0x40000


class YuvMatrix(IntEnum):
    """swscale's numbers of matrices; PyAV 17 has no name for BT2020."""

    ITU709 = 1
    FCC = 4
    ITU601 = 5
    SMPTE240M = 7
    BT2020 = 9


_MATRICES = {
    1: YuvMatrix.ITU709,
    4: YuvMatrix.FCC,
    5: YuvMatrix.ITU601,
    6: YuvMatrix.ITU601,
    7: YuvMatrix.SMPTE240M,
    9: YuvMatrix.BT2020,
    10: YuvMatrix.BT2020,
}
_EXIF_ORIENTATIONS = {  # displayed (x, y) of a step along x, and along y
    1: ((1, 0), (0, 1)),
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: ((0, 1), (-1, 0)),
    7: ((0, -1), (-1, 0)),
    8: ((0, -1), (1, 0)),
}
_WHITE = 203.0  # cd/m2 of diffuse white, ITU-R BT.2408
_KNEE = 0.75  # of diffuse white; linear below, rolled off above
_BT2020_TO_BT709 = np.array(  # ITU-R BT.2087, linear light
    [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    np.float32,
)
_BAND = 128  # rows that are tone mapped at once, to bound memory


def to_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Convert a decoded frame to upright SDR RGB, (H, W, 3) uint8.

    Untagged YUV is read as limited range, as BT.709 from 720 rows on and as
    BT.601 below. PQ and HLG are tone mapped.
    """
    if is_hdr(frame):
        image = tone_map(_reformat(frame, 'rgb48le'), frame.color_trc)
    else:
        image = _reformat(frame, 'rgb24')
    return np.ascontiguousarray(orient(image, display_matrix(frame)))


def to_yuv(image: np.ndarray, pix_fmt: str) -> av.VideoFrame:
    """Convert RGB to the encoder's format; YUV is BT.709.

    Args:
        image: pixels, (H, W, 3) uint8 RGB.
        pix_fmt: FFmpeg's name of the format.
    """
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), 'rgb24')
    frame.color_range = ColorRange.JPEG
    return frame.reformat(
        format=pix_fmt,
        src_color_range=ColorRange.JPEG,
        dst_colorspace=YuvMatrix.ITU709,
        dst_color_range=output_range(pix_fmt),
        interpolation=_FLAGS,
        threads=1,
    )


def output_range(pix_fmt: str) -> ColorRange:
    """Return the range that `to_yuv` writes: full for RGB, else limited."""
    full = av.VideoFormat(pix_fmt).is_rgb or pix_fmt.startswith('yuvj')
    return ColorRange.JPEG if full else ColorRange.MPEG


def has_odd_chroma(pix_fmt: str, size: tuple[int, int]) -> bool:
    """Return whether a size is odd along an axis of subsampled chroma."""
    chroma = av.VideoFormat(pix_fmt, 64, 64).components[-1:]
    return any(
        (c.width < 64 and size[0] % 2) or (c.height < 64 and size[1] % 2)
        for c in chroma
    )


def _reformat(frame: av.VideoFrame, pix_fmt: str) -> np.ndarray:
    name, source_range = frame.format.name, frame.color_range
    if name.startswith('yuvj') or frame.format.is_rgb:
        source_range = ColorRange.JPEG
    rgb = frame.reformat(
        format=pix_fmt,
        src_colorspace=source_matrix(frame),
        src_color_range=source_range or ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_FLAGS,
        threads=1,
    )
    return rgb.to_ndarray()


def source_matrix(frame: av.VideoFrame) -> YuvMatrix:
    """Return the matrix by which a frame's YUV is read."""
    default = 1 if frame.height >= 720 else 6
    return _MATRICES.get(frame.colorspace, _MATRICES[default])


def is_hdr(frame: av.VideoFrame) -> bool:
    """Return whether the frame's transfer is PQ or HLG."""
    return frame.color_trc in (PQ, HLG)


def bit_depth(frame: av.VideoFrame) -> int:
    """Return the number of bits of the deepest component."""
    return max(c.bits for c in frame.format.components)


def is_transparent(frame: av.VideoFrame) -> bool:
    """Return whether a pixel of the frame is not opaque."""
    if not any(c.is_alpha for c in frame.format.components):
        return False
    return frame.reformat(format='rgba').to_ndarray()[..., 3].min() < 255


def conversion_notes(frame: av.VideoFrame) -> list[str]:
    """List the conversions that `to_rgb` makes, one line each."""
    notes, depth = [], bit_depth(frame)
    if is_hdr(frame):
        name = 'PQ' if frame.color_trc == PQ else 'HLG'
        notes.append(
            f'HDR ({name}, {depth} bit) is tone mapped to 8-bit SDR BT.709'
        )
    elif depth > 8:
        notes.append(f'{depth}-bit colour is converted to 8 bit')
    if is_transparent(frame):
        notes.append('transparency (alpha) is dropped')
    if len(frame.format.components) < 3 and not frame.format.has_palette:
        notes.append('grayscale is converted to RGB')
    unread = frame.colorspace not in (*_MATRICES, 0, 3, _UNKNOWN)
    if unread and not frame.format.is_rgb:
        name = source_matrix(frame).name
        notes.append(f'colour matrix {frame.colorspace} is read as {name}')
    return notes + _turning_notes(frame)


def _turning_notes(frame: av.VideoFrame) -> list[str]:
    matrix = display_matrix(frame)
    if matrix is None or np.allclose(matrix, np.eye(2), atol=1e-3):
        return []
    turn, mirror = rotation(frame), np.linalg.det(matrix) < 0
    notes = [f'frames are turned {turn} degrees clockwise as the file says']
    if mirror:
        notes = ['frames are mirrored and turned as the file says']
    if not _is_right_angle(matrix):
        notes.append('rotation is rounded to a multiple of 90 degrees')
    return notes


def rotation(frame: av.VideoFrame) -> int:
    """Return by how many degrees clockwise a frame is turned upright."""
    return round(-frame.rotation / 90) * 90 % 360


def display_matrix(frame: av.VideoFrame) -> np.ndarray | None:
    """Read the upper left 2 x 2 of a frame's display matrix; None without it.

    Row i holds the displayed (x, y) of one step along stored axis i; axis 0
    is x and axis 1 is y.
    """
    try:
        # PyAV's stubs call it a mapping
        kept = cast(list[SideData], list(frame.side_data))
    except ValueError:  # PyAV 18 does not know the type of EXIF data
        return _exif_matrix(frame)
    for data in kept:
        if data.type.name == 'DISPLAYMATRIX':
            values = np.frombuffer(bytes(data), np.int32).reshape(3, 3)
            return values[:2, :2] / 65536
    return None


def _exif_matrix(frame: av.VideoFrame) -> np.ndarray:
    if frame.opaque in _EXIF_ORIENTATIONS:
        return np.array(_EXIF_ORIENTATIONS[frame.opaque], float)
    angle = np.deg2rad(-frame.rotation)
    sin, cos = np.sin(angle), np.cos(angle)
    return np.array([[cos, sin], [-sin, cos]])


def orient(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Turn and mirror a stored image as its display matrix says.

    Args:
        image: stored pixels, (h, w, ...).
        matrix: result of `display_matrix`.
    """
    if matrix is None:
        return image
    (a, b), (c, d) = matrix
    if _is_transposed(matrix):
        image, flip_x, flip_y = image.swapaxes(0, 1), c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    return image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def upright_size(frame: av.VideoFrame) -> tuple[int, int]:
    """Return width and height of a frame after turning it upright."""
    if _is_transposed(display_matrix(frame)):
        return frame.height, frame.width
    return frame.width, frame.height


def upright_aspect(frame: av.VideoFrame, ratio: Fraction) -> Fraction:
    """Return a pixel's upright aspect ratio, width over height."""
    return 1 / ratio if _is_transposed(display_matrix(frame)) else ratio


def _is_transposed(matrix: np.ndarray | None) -> bool:
    return matrix is not None and abs(matrix[0, 1]) > abs(matrix[0, 0])


def _is_right_angle(matrix: np.ndarray | None) -> bool:
    if matrix is None:
        return True
    return bool(np.abs(matrix).min(axis=1).max() < 1e-3)


def tone_map(image: np.ndarray, transfer: int) -> np.ndarray:
    """Map HDR BT.2020 to SDR BT.709, (H, W, 3) uint8.

    Diffuse white (203 cd/m2) becomes SDR white. A pixel's largest component
    is kept up to 0.75 of it and compressed hyperbolically above, and the
    other two are scaled with it, which keeps the hue. SDR is encoded for a
    display of gamma 2.4.

    Args:
        image: PQ or HLG R'G'B', (H, W, 3) uint16, full range.
        transfer: 16 for PQ, 18 for HLG (H.273).
    """
    linear = _linear_light(transfer)
    out = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _BAND):
        rgb = linear[image[top : top + _BAND]] @ _BT2020_TO_BT709.T
        rgb = np.maximum(rgb, 0)
        peak = rgb.max(axis=-1, keepdims=True)
        over = np.maximum(peak - _KNEE, 0)
        room = 1 - _KNEE
        rolled = np.minimum(peak, _KNEE) + room * over / (over + room)
        rgb *= rolled / np.maximum(peak, 1e-6)
        out[top : top + _BAND] = np.rint(255 * rgb ** (1 / 2.4))
    return out


@lru_cache
def _linear_light(transfer: int) -> np.ndarray:
    """Tabulate display light over diffuse white for each 16-bit code."""
    code = np.linspace(0, 1, 65536)
    if transfer == PQ:  # SMPTE ST 2084
        power = code ** (32 / 2523)
        ratio = np.maximum(power - 3424 / 4096, 0)
        ratio /= 2413 / 128 - 2392 / 128 * power
        light = 10000 * ratio ** (16384 / 2610)
    else:  # ITU-R BT.2100 HLG on a display of 1000 cd/m2, gamma 1.2
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        low, high = code**2 / 3, (np.exp((code - c) / a) + b) / 12
        light = 1000 * np.where(code <= 0.5, low, high) ** 1.2
    return (light / _WHITE).astype(np.float32)
