"""Facts from a picture's header: size, camera, colour profile, EXIF, loop."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from star.video.pictures.reading import open_picture
from star.video.probing import probe

if TYPE_CHECKING:
    from PIL.Image import Exif

_ORIENTATION, _MAKE, _MODEL = 0x0112, 0x010F, 0x0110
_EXIF, _WIDTH, _HEIGHT = 0x8769, 0xA002, 0xA003
# description, camera, software, date, artist, copyright, EXIF, GPS: of a
# TIFF the others say how its pixels are stored
_KEPT = {0x010E, _MAKE, _MODEL, 0x0131, 0x0132, 0x013B, 0x8298, _EXIF, 0x8825}
_UNREADABLE = (OSError, ValueError, SyntaxError, ImportError)


@dataclass(frozen=True)
class PictureFacts:
    """Facts that travel with a picture besides its pixels.

    Args:
        icc: colour profile; b'' for none.
        exif: EXIF data without the orientation; b'' for none.
        loops: how often an animation is played, 0 for ever.
        notes: what cannot be kept, a sentence each.
    """

    icc: bytes = b''
    exif: bytes = b''
    loops: int = 0
    notes: tuple[str, ...] = ()


def read_facts(path: Path) -> PictureFacts:
    """Read what a restored picture keeps; of a video, nothing.

    EXIF data loses what is no longer true: orientation and sizes.
    """
    try:
        with open_picture(path) as image:
            icc, exif = image.info.get('icc_profile') or b'', image.getexif()
            once = 1 if image.format == 'GIF' else 0
            loops = int(image.info.get('loop', once))
            data = _exif_bytes(exif)
    except _UNREADABLE:
        return PictureFacts()
    notes: tuple[str, ...] = ()
    if icc and icc[16:20] != b'RGB ':
        space = icc[16:20].decode('latin-1').strip()
        notes = (f'the colour profile, for {space}, is not kept',)
        icc = b''
    return PictureFacts(icc, data, loops, notes)


def camera_of(path: Path) -> str:
    """Return the camera that took a photograph; '' for none."""
    try:
        with open_picture(path) as image:
            exif = image.getexif()
    except _UNREADABLE:
        return ''
    words = [str(exif[tag]) for tag in (_MAKE, _MODEL) if exif.get(tag)]
    return ' '.join(' '.join(words).replace('\0', '').split())


def upright_size(path: Path) -> tuple[int, int]:
    """Return a picture's width and height as it is shown.

    Raises:
        VideoError: it cannot be read.
    """
    try:
        with open_picture(path) as image:
            # Pillow turns a TIFF's size, and decodes a PNG to find EXIF
            # data behind its pixels
            late = image.format == 'PNG' and 'exif' not in image.info
            if late or image.format == 'TIFF':
                return image.size
            turned = image.getexif().get(_ORIENTATION, 1) >= 5
            return image.size[::-1] if turned else image.size
    except _UNREADABLE:
        info = probe(path)
        return info.width, info.height


def _exif_bytes(exif: 'Exif') -> bytes:
    inner = exif.get_ifd(_EXIF)
    for tag in (_WIDTH, _HEIGHT):
        inner.pop(tag, None)
    for tag in {*exif} - _KEPT:
        del exif[tag]
    return exif.tobytes() if exif else b''
