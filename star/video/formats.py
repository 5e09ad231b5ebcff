"""Suffixes of files that can be read and written."""

from pathlib import Path

from star.video.info import VideoError


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f'.{name}' for name in names.split())


IMAGE_SUFFIXES = _suffixes(
    'png jpg jpeg jpe jfif webp tif tiff bmp ppm pgm pbm pnm pam pfm tga jp2 '
    'j2k exr dpx hdr qoi psd pcx sgi avif heic heif hif'
)
VIDEO_SUFFIXES = _suffixes(
    'mp4 m4v mov mkv webm avi wmv asf flv f4v ts m2ts mts mpg mpeg m2v vob '
    'ogv 3gp 3g2 mxf ivf y4m nut 264 h264 avc 265 h265 hevc obu gif apng dv '
    'rm rmvb divx'
)
ANIMATED = _suffixes('gif apng webp avif')  # pictures that hold many frames
STILLS = _suffixes(
    'png jpg jpeg jpe jfif tif tiff bmp ppm pgm pnm tga jp2 j2k qoi heic heif '
    'hif'
)
_NO_MUXER = _suffixes('avc rmvb divx')
VIDEOS = VIDEO_SUFFIXES - ANIMATED - _NO_MUXER
_COMMON = '.mp4, .mov, .mkv, .webm, .avi, .gif, .apng, .webp, .png, .jpg, .tif'


def result_kind(path: Path, codec: str = '') -> str:
    """Return the kind of result that a file's suffix stands for.

    Args:
        path: the result, a file.
        codec: of the source; the result of an animated PNG moves as well.

    Returns:
        'animation' (a picture that moves, or a single one), 'image', or
        'video' for all others.
    """
    suffix = path.suffix.lower()
    if suffix in ANIMATED or (suffix == '.png' and codec == 'apng'):
        return 'animation'
    return 'image' if suffix in IMAGE_SUFFIXES else 'video'


def check_suffix(path: Path) -> None:
    """Refuse a result whose suffix stands for nothing that can be written.

    Raises:
        VideoError: naming what can be written.
    """
    if path.suffix.lower() in ANIMATED | STILLS | VIDEOS:
        return
    raise VideoError(
        f'{path}: {path.suffix or "no suffix"} is no kind of file that can '
        f'be written; choose one of {_COMMON}, or name a folder: {path}/'
    )
