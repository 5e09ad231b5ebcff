"""Pixel formats: decoded frames to upright RGB, and to an encoder's."""

from enum import IntEnum
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import ColorRange

from star.video.colour import hdr
from star.video.colour.depth import PEAKS
from star.video.colour.planes import has_alpha_plane, plane_values

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
# swscale's white of 16-bit RGB is 65535, but 255 * 256 next to YUV
_CODES = np.arange(65536, dtype=np.uint32)
_FROM_YUV = np.minimum((_CODES * 257 + 128) // 256, 65535).astype(np.uint16)
_TO_YUV = ((_CODES * 256 + 128) // 257).astype(np.uint16)
_RGB = {8: 'rgb24', 16: 'rgb48le'}
# larger pictures are converted in bands of rows, to bound memory. Dither
# repeats every 8 rows of chroma, of which there may be a fourth
_WHOLE, _BAND, _APRON = 12 << 20, 256, 32
ALPHA_NOTE = 'transparency (alpha) is dropped'


def to_rgb(frame: av.VideoFrame, depth: int = 8) -> np.ndarray:
    """Convert a decoded frame to upright RGB, (H, W, 3).

    Untagged YUV is read as limited range, as BT.709 from 720 rows on and as
    BT.601 below. PQ and HLG are tone mapped for 8 bits; with 16 bits they are
    converted to the space of `hdr.to_working`.

    Args:
        frame: as the decoder gives it.
        depth: 8 for uint8, 16 for uint16.
    """
    transfer = frame.color_trc
    if not is_hdr(frame):
        image = _reformat(frame, _RGB[depth])
    elif depth == 8:
        image = hdr.tone_map(_reformat(frame, _RGB[16]), transfer)
    else:
        image = hdr.to_working(_reformat(frame, _RGB[16]), transfer)
    return np.ascontiguousarray(orient(image, display_matrix(frame)))


def alpha_of(frame: av.VideoFrame, depth: int = 8) -> np.ndarray | None:
    """Return the upright opacity of a frame, (H, W); None for opaque.

    Args:
        frame: as the decoder gives it.
        depth: 8 for uint8, 16 for uint16.
    """
    if not has_alpha(frame.format):
        return None
    alpha, peak = _stored_alpha(frame)
    if alpha.min() == peak:
        return None
    if peak != PEAKS[depth]:
        scaled = np.rint(alpha * (PEAKS[depth] / peak))
        alpha = scaled.astype(np.uint8 if depth == 8 else np.uint16)
    return np.ascontiguousarray(orient(alpha, display_matrix(frame)))


def _stored_alpha(frame: av.VideoFrame) -> tuple[np.ndarray, int]:
    """Return a frame's opacity as it is stored, and its value of opaque."""
    components = frame.format.components
    bits = max((c.bits for c in components if c.is_alpha), default=8)
    if has_alpha_plane(frame.format) and bits <= 16:
        return plane_values(frame.planes[3], bits), (1 << bits) - 1
    if bits == 8:
        return frame.reformat(format='rgba').to_ndarray()[..., 3], 255
    return frame.reformat(format='rgba64le').to_ndarray()[..., 3], 65535


def has_alpha(pixel_format: av.VideoFormat) -> bool:
    """Return whether a pixel format has room for opacity."""
    # FFmpeg does not say so of a palette, whose colours may be transparent
    components = pixel_format.components
    return pixel_format.name == 'pal8' or any(c.is_alpha for c in components)


def shows_alpha(frame: av.VideoFrame) -> bool:
    """Return whether a frame, or one after it, may be transparent.

    Formats of RGBA and palettes often hold nothing but opaque pixels, so that
    the frame decides; YUV with alpha is chosen on purpose.
    """
    layout = frame.format
    chosen = has_alpha(layout) and not (layout.is_rgb or layout.name == 'pal8')
    return chosen or alpha_of(frame) is not None


def to_yuv(
    image: np.ndarray,
    pix_fmt: str,
    matrix: int = 1,
    alpha: np.ndarray | None = None,
) -> av.VideoFrame:
    """Convert RGB to an encoder's format.

    A large picture is converted in bands of rows, with the same result.

    Args:
        image: pixels, (H, W, 3) uint8 or uint16 RGB.
        pix_fmt: FFmpeg's name of the format.
        matrix: of YUV, H.273 code: 1 for BT.709, 9 for BT.2020.
        alpha: opacity, (H, W) of the type of `image`; None for opaque.
    """
    height = len(image)
    even = height % 2 == 0  # else rows of chroma lie on no common grid
    if image.nbytes <= _WHOLE or not even:
        return _encodable(image, pix_fmt, matrix, alpha)
    whole: av.VideoFrame | None = None
    for top in range(0, height, _BAND):
        low, end = max(0, top - _APRON), min(height, top + _BAND)
        rows = slice(low, min(height, end + _APRON))
        opacity = None if alpha is None else alpha[rows]
        band = _encodable(image[rows], pix_fmt, matrix, opacity)
        if whole is None:
            whole = _like(band, height)
        _copy_rows(band, whole, low, (top, end))
    assert whole is not None
    return whole


def _encodable(
    image: np.ndarray, pix_fmt: str, matrix: int, alpha: np.ndarray | None
) -> av.VideoFrame:
    """Convert RGB at once; see `to_yuv`."""
    wanted, name = av.VideoFormat(pix_fmt), _RGB[8 * image.itemsize]
    if image.itemsize == 2 and not wanted.is_rgb:
        image = _TO_YUV[image]
    packed = not has_alpha_plane(wanted)
    if alpha is not None and packed:
        name = {'rgb24': 'rgba', 'rgb48le': 'rgba64le'}[name]
        image = np.dstack([image, alpha])
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), name)
    frame.color_range = ColorRange.JPEG
    out = frame.reformat(
        format=pix_fmt,
        src_color_range=ColorRange.JPEG,
        dst_colorspace=_MATRICES[matrix],
        dst_color_range=output_range(pix_fmt),
        interpolation=_FLAGS,
        threads=1,
    )
    if alpha is not None and not packed:
        bits = format_bits(pix_fmt)
        scale = ((1 << bits) - 1) / np.iinfo(alpha.dtype).max
        plane_values(out.planes[3], bits)[:] = np.rint(alpha * scale)
    return out


def _like(band: av.VideoFrame, height: int) -> av.VideoFrame:
    """Make an empty frame of another height with the tags of a band."""
    whole = av.VideoFrame(band.width, height, band.format.name)
    whole.color_range, whole.colorspace = band.color_range, band.colorspace
    whole.color_primaries = band.color_primaries
    whole.color_trc = band.color_trc
    return whole


def _copy_rows(
    band: av.VideoFrame, whole: av.VideoFrame, low: int, rows: tuple[int, int]
) -> None:
    """Copy rows [from, to) of a frame out of the band that begins at `low`."""
    for source, target in zip(band.planes, whole.planes, strict=True):
        step = whole.height // target.height  # 2 where chroma is subsampled
        top, end = (row // step for row in rows)
        first = top - low // step
        _plane_rows(target)[top:end] = _plane_rows(source)[
            first : first + end - top
        ]


def _plane_rows(plane: av.video.plane.VideoPlane) -> np.ndarray:
    """Return a view of a plane's rows with their padding."""
    data = np.frombuffer(memoryview(plane), np.uint8)  # type: ignore[arg-type]
    return data.reshape(plane.height, plane.line_size)


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
    image = rgb.to_ndarray()
    if image.itemsize == 2 and not frame.format.is_rgb:
        image = _FROM_YUV[image]
    return image


def source_matrix(frame: av.VideoFrame) -> YuvMatrix:
    """Return the matrix by which a frame's YUV is read."""
    default = 1 if frame.height >= 720 else 6
    return _MATRICES.get(frame.colorspace, _MATRICES[default])


def is_hdr(frame: av.VideoFrame) -> bool:
    """Return whether the frame's transfer is PQ or HLG."""
    return frame.color_trc in hdr.NAMES


def bit_depth(frame: av.VideoFrame) -> int:
    """Return the number of bits of the deepest component."""
    return max(c.bits for c in frame.format.components)


def format_bits(pix_fmt: str) -> int:
    """Return the number of bits of a format's deepest component."""
    return max(c.bits for c in av.VideoFormat(pix_fmt).components)


def conversion_notes(
    frame: av.VideoFrame, depth: int = 8, keep_alpha: bool = False
) -> list[str]:
    """List the conversions that reading makes, one line each.

    Args:
        frame: as the decoder gives it.
        depth: see `to_rgb`.
        keep_alpha: whether opacity is read as well.
    """
    notes = []
    if depth == 8:
        notes += depth_notes(bit_depth(frame), frame.color_trc)
    if not keep_alpha and alpha_of(frame) is not None:
        notes.append(ALPHA_NOTE)
    unread = frame.colorspace not in (*_MATRICES, 0, 3, _UNKNOWN)
    if unread and not frame.format.is_rgb:
        name = source_matrix(frame).name
        notes.append(f'colour matrix {frame.colorspace} is read as {name}')
    return notes + _turning_notes(frame)


def depth_notes(bits: int, transfer: int) -> list[str]:
    """List the conversions of a picture to 8 bits, one line each.

    Args:
        bits: of its deepest component.
        transfer: H.273 code.
    """
    if transfer in hdr.NAMES:
        name = hdr.NAMES[transfer]
        return [f'HDR ({name}, {bits} bit) is tone mapped to 8-bit SDR BT.709']
    return [f'{bits}-bit colour is converted to 8 bit'] if bits > 8 else []


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
    # a picture; PyAV frees the data of its ICC profile, which FFmpeg then uses
    if frame.opaque is not None:
        return _exif_matrix(frame)
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
