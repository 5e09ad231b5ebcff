"""`openable`: pictures in a form that FFmpeg reads.

FFmpeg does not read an animated WebP, nor the tiles of a HEIC, nor the opacity
of an AVIF. Pillow does; what it reads becomes a PNG, or a lossless video, in a
temporary file without a name.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import av
import cv2
import numpy as np

from star.utils import compat
from star.video.info import VideoError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_HEIC = (
    b'heic',
    b'heix',
    b'heim',
    b'heis',
    b'hevc',
    b'hevx',
    b'mif1',
    b'msf1',
)
_AVIF = (b'avif', b'avis')
_MILLISECOND = Fraction(1, 1000)


def openable(path: Path, url: str) -> str | BinaryIO:
    """Return what FFmpeg opens to read a file.

    Args:
        path: the file.
        url: its URL, returned for every file that FFmpeg reads by itself.

    Returns:
        The URL, or a temporary file that disappears when it is closed.

    Raises:
        VideoError: it is a picture that Pillow cannot read either, or that
            needs an extra.
    """
    kind = _kind(path)
    if not kind:
        return url
    try:
        return _convert(path, kind)
    except ImportError as error:
        raise VideoError(f'{path}: {error}') from error
    except (OSError, ValueError, SyntaxError, RuntimeError) as error:
        reason = ' '.join(str(error).split())
        raise VideoError(f'{path}: cannot be read ({reason})') from error


@contextmanager
def open_picture(path: Path) -> Iterator['Picture']:
    """Open a picture of any size with Pillow, a HEIC with its plugin.

    Raises:
        ImportError: it is a HEIC, and the extra is not installed.
    """
    from PIL import Image  # videos need no Pillow

    if _kind(path) == 'heic':
        compat.require('pillow_heif', 'heic').register_heif_opener()
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        image = Image.open(path)
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    with image:
        yield image


def _kind(path: Path) -> str:
    """Return 'heic', 'avif', 'webp' if it moves, or '' for all others."""
    with open(path, 'rb') as file:
        head = file.read(64)
    if head[4:8] == b'ftyp':
        if head[8:12] in _AVIF or b'avif' in head[16:]:
            return 'avif'
        return 'heic' if head[8:12] in _HEIC else ''
    moves = head[8:16] == b'WEBPVP8X' and head[20] & 2
    return 'webp' if head[:4] == b'RIFF' and moves else ''


def _convert(path: Path, kind: str) -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - its reader closes it
    if kind == 'heic':
        _write_png(file, _read_heic(path))
    else:
        with open_picture(path) as image:
            if getattr(image, 'n_frames', 1) > 1:
                _write_video(file, image)
            else:
                _write_png(file, _pixels(image))
    file.seek(0)
    return file


def _read_heic(path: Path) -> np.ndarray:
    """Return upright pixels, uint8, or uint16 for more than 8 bits."""
    heif = compat.require('pillow_heif', 'heic')
    image = heif.open_heif(path, convert_hdr_to_8bit=False)
    if image.mode.endswith(';16'):
        channels = 4 if image.mode.startswith('RGBA') else 3
        pixels = np.asarray(image).view(np.uint16)
        return pixels.reshape(image.size[1], image.size[0], channels)
    return _pixels(image.to_pillow())


def _pixels(image: 'Picture') -> np.ndarray:
    """Return pixels as (H, W), (H, W, 3) or (H, W, 4) uint8."""
    if image.mode not in ('L', 'RGB', 'RGBA'):
        clear = 'A' in image.mode or 'transparency' in image.info
        image = image.convert('RGBA' if clear else 'RGB')
    return np.asarray(image)


def _write_png(file: BinaryIO, pixels: np.ndarray) -> None:
    orders = {3: [2, 1, 0], 4: [2, 1, 0, 3]}
    if pixels.ndim == 3:
        pixels = pixels[..., orders[pixels.shape[-1]]]
    fastest = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    done, data = cv2.imencode('.png', pixels, fastest)
    assert done
    file.write(data.tobytes())


def _write_video(file: BinaryIO, image: 'Picture') -> None:
    """Write all frames of an animation with their durations."""
    with av.open(file, 'w', format='matroska') as output:
        stream = output.add_stream('ffv1', rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = image.size
        stream.pix_fmt = 'bgra'
        stream.time_base = stream.codec_context.time_base = _MILLISECOND
        time = 0
        for i in range(getattr(image, 'n_frames', 1)):
            image.seek(i)
            image.load()
            pixels = np.asarray(image.convert('RGBA'))
            frame = av.VideoFrame.from_ndarray(pixels, 'rgba')
            frame = frame.reformat(format='bgra')
            duration = max(round(image.info.get('duration', 0)), 1)
            frame.pts, frame.time_base = time, _MILLISECOND
            for packet in stream.encode(frame):
                packet.duration = duration
                output.mux(packet)
            time += duration
