"""The encoders and pixel formats that suit a source and a container."""

from dataclasses import dataclass

import av

from star.video.containers import holds, own_codec
from star.video.info import VideoError, VideoInfo

_ALPHA = {  # by suffix: the codecs that players and editors expect there
    '.mov': ('prores_ks',),
    '.webm': ('libvpx-vp9',),
    '.mkv': ('ffv1',),
}
_DEEP = ('libx265', 'libsvtav1')
_USUAL = {  # by suffix: what plays there, and H.264 does not
    **dict.fromkeys(('.mpg', '.mpeg', '.vob', '.mxf'), 'mpeg2video'),
    **dict.fromkeys(('.wmv', '.asf'), 'wmv2'),
}
_TAGGED = ('.mp4', '.mov', '.mkv', '.webm', '.ts', '.mts', '.m2ts')
_PLAIN = ('libx264', 'libvpx-vp9', 'libvpx', 'mpeg2video')
_SPECIAL = ('prores_ks', 'ffv1', 'mpeg4', 'mjpeg', 'png', 'rawvideo')
_ALPHA_FORMATS = ('yuva444p10le', 'yuva444p', 'yuva420p', 'rgba', 'argb')
# few devices and no browser decode H.264 with 10 bits
_EIGHT_BIT = ('libx264',)
_LOSSLESS = ('ffv1', 'ffvhuff')


@dataclass(frozen=True)
class Needs:
    """Properties of a source that a result should hold.

    Args:
        depth: bits of a component.
        alpha: opacity.
        full_chroma: chroma for each pixel.
    """

    depth: int = 8
    alpha: bool = False
    full_chroma: bool = False

    @property
    def deep(self) -> bool:
        """Return whether 8 bits are too few."""
        return self.depth > 8


def needs_of(source: VideoInfo | None) -> Needs:
    """Return what a source asks of the result."""
    if source is None:
        return Needs()
    depth = max(source.depth, 10 if source.hdr else 8)
    full = False
    if source.pix_fmt:
        parts = av.VideoFormat(source.pix_fmt, 64, 64).components
        full = len(parts) > 2 and all(c.width == 64 for c in parts)
    return Needs(depth, source.has_alpha, full)


def list_choices(
    codec: str | None, pix_fmt: str | None, suffix: str, needs: Needs
) -> list[tuple[str, str]]:
    """List encoders and their pixel formats, the best first.

    Args:
        codec: the encoder that the user named; None for any.
        pix_fmt: the pixel format that the user named; None for any.
        suffix: of the result, such as '.mp4'; '' if it is not known.
        needs: of the source.

    Raises:
        VideoError: the codec, the format or the container is unknown, or
            they do not go together.
    """
    if codec is not None:
        _check(codec, pix_fmt, suffix)
        return [(codec, pix_fmt or pick_format(codec, suffix, needs))]
    if pix_fmt is not None:
        needs = _needs_for(pix_fmt)
    names = _suitable(suffix, needs)
    if pix_fmt is None:
        found = [(name, pick_format(name, suffix, needs)) for name in names]
    else:
        found = [(n, pix_fmt) for n in names if pix_fmt in list_formats(n)]
    if needs.alpha and pix_fmt is not None:
        found = [(n, form) for n, form in found if keeps_alpha(n, suffix)]
    if not found:
        where = f' for {suffix}' if suffix else ''
        raise VideoError(
            f'there is no pixel format {pix_fmt!r} of an encoder{where}'
            if pix_fmt
            else f'there is no encoder for {suffix}; choose .mp4 or .mkv'
        )
    return found


def _check(codec: str, pix_fmt: str | None, suffix: str) -> None:
    """Refuse an encoder that a container cannot hold, or without a format."""
    formats = list_formats(codec)
    if suffix and not holds(suffix, codec):
        raise VideoError(
            f'{suffix} cannot hold {codec}; choose {_first_codec(suffix)}, or '
            f'a suffix such as {".mov" if suffix == ".mkv" else ".mkv"}'
        )
    if pix_fmt and formats and pix_fmt not in formats:
        raise VideoError(
            f'{codec} has no pixel format {pix_fmt!r}, only '
            + ', '.join(formats)
        )


def keeps_alpha(codec: str, suffix: str) -> bool:
    """Return whether opacity survives an encoder and a container."""
    if codec.startswith('libvpx'):
        return suffix in ('.webm', '.mkv')
    return codec != 'libx265'  # of which no player shows it


def pick_format(codec: str, suffix: str, needs: Needs) -> str:
    """Choose the pixel format of an encoder.

    Args:
        codec: FFmpeg's name of the encoder.
        suffix: of the result; '' if it is not known.
        needs: of the source.
    """
    formats = list_formats(codec)
    wanted: list[str] = []
    bits = needs.depth if codec in _LOSSLESS else 10
    if needs.alpha and keeps_alpha(codec, suffix):
        wanted += [f'yuva444p{bits}le'] if needs.deep else []
        first = 'yuva420p' if codec.startswith('libvpx') else 'yuva444p'
        wanted += [first, *_ALPHA_FORMATS]
    if needs.deep and codec not in _EIGHT_BIT:
        wanted += [f'yuv420p{bits}le', 'yuv420p10le', 'p010le']
    wanted += ['yuvj420p'] if codec == 'mjpeg' else []  # its only range
    wanted.append('yuv420p')
    wanted += ['yuv444p10le'] if needs.full_chroma else []
    for name in wanted:
        if name in formats or (name == 'yuv420p' and not formats):
            return name
    return formats[0]


def _suitable(suffix: str, needs: Needs) -> list[str]:
    """List encoders for a container, the best first."""
    names: list[str] = []
    if needs.alpha:
        names += _ALPHA.get(suffix, ())
    if needs.deep and suffix in _TAGGED:
        names += _DEEP
    names += [_USUAL[suffix]] if suffix in _USUAL else []
    names += _PLAIN
    if not suffix:
        return names
    own = own_codec(suffix)
    names += [own] if own else []
    names += [*_DEEP, *_SPECIAL]
    return [n for n in dict.fromkeys(names) if holds(suffix, n)]


def _needs_for(pix_fmt: str) -> Needs:
    """Return what a pixel format asks of the encoder.

    Raises:
        VideoError: there is no such format.
    """
    try:
        parts = av.VideoFormat(pix_fmt).components
    except ValueError:
        raise VideoError(f'there is no pixel format {pix_fmt!r}') from None
    deepest = max(part.bits for part in parts)
    return Needs(deepest, any(part.is_alpha for part in parts))


def _first_codec(suffix: str) -> str:
    return next(iter(_suitable(suffix, Needs())), 'another container')


def list_formats(codec: str) -> list[str]:
    """List the pixel formats of an encoder; none where it takes any.

    Raises:
        VideoError: there is no such encoder of video.
    """
    try:
        encoder = av.Codec(codec, 'w')
    except ValueError:
        raise VideoError(f'there is no encoder called {codec!r}') from None
    if encoder.type != 'video':
        raise VideoError(f'{codec!r} does not encode video')
    return [f.name for f in encoder.video_formats or []]
