"""The codecs that a container holds, and the options of writing it."""

import io
from functools import lru_cache

import av

from star.video.info import VideoError

_MATROSKA = ('.mkv', '.webm')
_STREAMS = frozenset({'h264', 'hevc', 'mpeg1video', 'mpeg2video', 'mpeg4'})
_NAMED = {  # containers of which FFmpeg says that they hold everything
    **dict.fromkeys(
        ('.ts', '.mts', '.m2ts', '.mpg', '.mpeg', '.vob'), _STREAMS
    ),
    '.y4m': frozenset({'rawvideo'}),
}
# containers with a place for primaries, transfer and matrix
TAGGED = ('.mp4', '.m4v', '.mov', '.mkv', '.webm', '.3gp', '.3g2', '.f4v')
# containers that are read with one time a frame, which orders them wrongly
IN_ORDER = ('.avi', '.wmv', '.asf', '.mxf')
# containers that count frames, or whose usual codec does
COUNTING = ('.avi', '.ogv', '.mpg', '.mpeg', '.vob', '.mxf')
# of those, the ones that give each frame the same time, or the first one
UNBROKEN = ('.mxf', '.ogv')
_APPLE = ('.mp4', '.m4v', '.mov', '.3gp', '.3g2', '.f4v')


def container_options(suffix: str) -> dict[str, str]:
    """Return the options with which FFmpeg writes a container.

    The index of a MOV goes to its front, so that it plays while it is still
    loading. The identifiers of a Matroska file are not drawn at random, so
    that the same frames give the same bytes.

    Args:
        suffix: of the file, such as '.mp4'.
    """
    if suffix.lower() in _APPLE:
        return {'movflags': '+faststart'}
    return {'fflags': '+bitexact'} if suffix.lower() in _MATROSKA else {}


def open_trial(suffix: str) -> av.container.OutputContainer:
    """Open a container in memory, to see what it accepts.

    Raises:
        VideoError: there is no container of this suffix.
    """
    file = io.BytesIO()
    file.name = f'x{suffix}'
    try:
        return av.open(file, 'w')
    except ValueError:
        raise VideoError(
            f'{suffix} is no container that can be written; choose .mp4, '
            '.mov, .mkv or .webm'
        ) from None


@lru_cache
def holds(suffix: str, codec: str) -> bool:
    """Return whether a container has a place for a codec.

    Args:
        suffix: of the file, such as '.mp4'.
        codec: FFmpeg's name of the encoder.

    Raises:
        VideoError: there is no container of this suffix.
    """
    named = _NAMED.get(suffix.lower())
    if named and av.Codec(codec, 'w').canonical_name not in named:
        return False
    output = open_trial(suffix)
    try:
        output.add_stream(codec, rate=25)
    except ValueError:
        return False
    return True


def own_codec(suffix: str) -> str | None:
    """Return the encoder that a container has by default; None without one.

    Raises:
        VideoError: there is no container of this suffix.
    """
    name = open_trial(suffix).default_video_codec
    try:
        return av.Codec(name, 'w').name
    except ValueError:
        return None
