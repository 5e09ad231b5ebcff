"""`encode_picture`: one still picture as the bytes of a file."""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from star.utils import compat
from star.video.colour.depth import set_depth
from star.video.info import VideoError
from star.video.pictures.facts import PictureFacts

_LARGEST = 2**31 - 1
_FAILURES = (OSError, ValueError, RuntimeError, TypeError)


@dataclass(frozen=True)
class PictureFormat:
    """Abilities of a picture's format.

    Args:
        name: Pillow's name.
        depth: bits of a channel, 8 or 16.
        alpha: whether it holds opacity.
        icc: whether it holds a colour profile.
        exif: whether it holds EXIF data.
        side: largest width and height, pixels.
    """

    name: str
    depth: int = 8
    alpha: bool = True
    icc: bool = True
    exif: bool = True
    side: int = 65535


_JPEG = PictureFormat('JPEG', alpha=False)
_HEIF = PictureFormat('HEIF')
_TIFF = PictureFormat('TIFF', depth=16, side=_LARGEST)
_PPM = PictureFormat('PPM', depth=16, alpha=False, icc=False, exif=False)
_JP2 = PictureFormat('JPEG2000', icc=False, exif=False)
_FORMATS = {
    '.png': PictureFormat('PNG', depth=16, side=_LARGEST),
    '.apng': PictureFormat('PNG', 16, True, False, False, _LARGEST),
    '.gif': PictureFormat('GIF', icc=False, exif=False),
    '.webp': PictureFormat('WEBP', side=16383),
    '.avif': PictureFormat('AVIF'),
    '.bmp': PictureFormat('BMP', alpha=False, icc=False, exif=False),
    '.tga': PictureFormat('TGA', icc=False, exif=False),
    '.qoi': PictureFormat('QOI', icc=False, exif=False),
    **dict.fromkeys(('.jpg', '.jpeg', '.jpe', '.jfif'), _JPEG),
    **dict.fromkeys(('.heic', '.heif', '.hif'), _HEIF),
    **dict.fromkeys(('.tif', '.tiff'), _TIFF),
    **dict.fromkeys(('.ppm', '.pnm', '.pgm'), _PPM),
    **dict.fromkeys(('.jp2', '.j2k'), _JP2),
}
_OPTIONS: dict[str, dict[str, object]] = {
    'JPEG': {'quality': 95, 'subsampling': 0},
    'AVIF': {'quality': 95, 'subsampling': '4:4:4'},
    'HEIF': {'quality': 95, 'chroma': 444},
    'WEBP': {'lossless': True, 'exact': True},
}


def picture_format(kind: str, path: Path) -> PictureFormat:
    """Return what the format that a path's suffix names can hold.

    Args:
        kind: 'folder', of PNGs; any other goes by the suffix.
        path: the result.

    Raises:
        VideoError: no such picture can be written.
    """
    suffix = '.png' if kind == 'folder' else path.suffix.lower()
    if suffix not in _FORMATS:
        raise VideoError(f'{suffix}: no image format that can be written')
    found = _FORMATS[suffix]
    if found is _HEIF:
        try:
            compat.require('pillow_heif', 'heic').register_heif_opener()
        except ImportError as error:
            raise VideoError(f'{suffix}: {error}') from error
    return found


def encode_picture(
    suffix: str,
    image: np.ndarray,
    alpha: np.ndarray | None = None,
    facts: PictureFacts | None = None,
) -> bytes:
    """Encode a picture.

    Args:
        suffix: of the file, such as '.png'.
        image: (H, W, 3) uint8 or uint16 RGB; reduced to 8 bits for formats
            that hold no more.
        alpha: (H, W), of the same dtype; dropped for formats without.
        facts: profile and EXIF data to add where the format holds them.

    Raises:
        VideoError: it cannot be encoded.
    """
    kind = picture_format('image', Path(f'x{suffix}'))
    facts = facts or PictureFacts()
    channels = (
        [image]
        if alpha is None or not kind.alpha
        else [image, alpha[..., None]]
    )
    pixels = np.concatenate(channels, -1)
    if suffix.lower() == '.pgm':
        pixels = _one_channel(pixels)
    if kind.depth == 8:
        pixels = set_depth(pixels, 8)
    try:
        if kind.name == 'PNG':
            return _add_to_png(_with_opencv('.png', pixels), facts)
        if kind.name == 'PPM':
            return _with_opencv(suffix.lower(), pixels)
        if kind.name == 'TIFF':
            return _tiff(pixels, facts)
        return _with_pillow(kind, pixels, facts)
    except (cv2.error, *_FAILURES) as error:
        reason = ' '.join(str(error).split())
        message = f'{suffix}: the image cannot be encoded ({reason})'
        raise VideoError(message) from error


def _one_channel(pixels: np.ndarray) -> np.ndarray:
    if (pixels[..., :2] != pixels[..., 1:3]).any():
        raise VideoError('.pgm holds no colour; choose .ppm or .png')
    return pixels[..., :1]


def _with_opencv(suffix: str, pixels: np.ndarray) -> bytes:
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[-1]]
    done, data = cv2.imencode(suffix, pixels[..., order])
    if not done:
        raise VideoError(f'{suffix}: the image cannot be encoded')
    return data.tobytes()


def _with_pillow(
    kind: PictureFormat, pixels: np.ndarray, facts: PictureFacts
) -> bytes:
    from PIL import Image

    options = dict(_OPTIONS.get(kind.name, {}))
    if kind.icc and facts.icc:
        options['icc_profile'] = facts.icc
    if kind.exif and facts.exif:
        options['exif'] = facts.exif
    file = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.save(file, kind.name, **options)
    return file.getvalue()


def _add_to_png(data: bytes, facts: PictureFacts) -> bytes:
    """Insert a profile and EXIF data behind the header (PNG 3, 11.3)."""
    chunks = b''
    if facts.icc:
        profile = b'icc\0\0' + zlib.compress(facts.icc)
        chunks += _chunk(b'iCCP', profile)
    if facts.exif:
        chunks += _chunk(b'eXIf', facts.exif.removeprefix(b'Exif\0\0'))
    header = 8 + 25  # signature and IHDR
    return data[:header] + chunks + data[header:]


def _chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack('>I', zlib.crc32(name + content))
    return struct.pack('>I', len(content)) + name + content + check


def _tiff(pixels: np.ndarray, facts: PictureFacts) -> bytes:
    """Write a TIFF 6.0 of one deflated strip, with a horizontal predictor."""
    from PIL import Image, TiffImagePlugin

    height, width, channels = pixels.shape
    little = pixels.astype(pixels.dtype.newbyteorder('<'))
    little[:, 1:] -= pixels[:, :-1]  # modulo the range, as the format says
    strip = zlib.compress(little.tobytes(), 6)
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix=b'II')
    exif = Image.Exif()
    exif.load(facts.exif)
    for tag in exif:
        inner = exif.get_ifd(tag)
        tags[tag] = inner or exif[tag]
    tags[256], tags[257] = width, height
    tags[258] = (8 * pixels.itemsize,) * channels
    tags[259], tags[262] = 8, 2  # deflate, RGB
    # the strip's place, to which Pillow adds the directory's end, and bytes
    tags[273], tags[279] = 0, len(strip)
    tags[277], tags[278] = channels, height
    tags[317] = 2  # horizontal differences
    if channels == 4:
        tags[338] = 2  # opacity, not multiplied
    if facts.icc:
        tags.tagtype[34675] = 7
        tags[34675] = facts.icc
    head = b'II*\0' + struct.pack('<I', 8)
    return head + tags.tobytes(8) + strip
