"""Facts from a picture's header: size, camera, colour profile, EXIF, loop."""

from dataclasses import dataclass
from pathlib import Path

from star.video.probing import probe

_ORIENTATION, _MAKE, _MODEL = 0x0112, 0x010F, 0x0110
_SIZES = (0xA002, 0xA003)  # of the picture, in the sub-IFD of EXIF
_EXIF_IFD = 0x8769


@dataclass(frozen=True)
class PictureFacts:
    """What travels with a picture besides its pixels.

    Args:
        icc: colour profile; b'' for none.
        exif: EXIF data without the orientation; b'' for none.
        loops: how often an animation is played, 0 for ever; None for a
            picture that does not say.
    """

    icc: bytes = b''
    exif: bytes = b''
    loops: int | None = None


def camera_of(path: Path) -> str:
    """Return the camera that took a photograph; '' for none."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            exif = image.getexif()
    except (OSError, ValueError, SyntaxError):
        return ''
    words = [str(exif[tag]) for tag in (_MAKE, _MODEL) if exif.get(tag)]
    return ' '.join(' '.join(words).replace('\0', '').split())


def upright_size(path: Path) -> tuple[int, int]:
    """Return a picture's width and height as it is shown.

    Raises:
        VideoError: it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            turned = image.getexif().get(_ORIENTATION, 1) >= 5
            return image.size[::-1] if turned else image.size
    except (OSError, ValueError, SyntaxError):
        info = probe(path)
        return info.width, info.height
