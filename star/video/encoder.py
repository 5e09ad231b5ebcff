"""Settings of a video encoder that work for a frame size."""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product

import av

from star.video import pixels
from star.video.info import VideoError, VideoInfo, explain

# encoders with an option `crf`; PyAV 17, the last for Python 3.10, lists none
BY_RATE_FACTOR = frozenset(
    {
        'libaom-av1',
        'libsvtav1',
        'libvpx',
        'libvpx-vp9',
        'libx264',
        'libx264rgb',
        'libx265',
    }
)
_BY_QUANTISER = ('mpeg4', 'mpeg2video', 'msmpeg4', 'mjpeg', 'flv', 'wmv2')
_QUANTISER = 3 * 118  # near lossless, for codecs without a rate factor
_UNKNOWN = (0, 2, 3)  # reserved or unspecified H.273 codes
_BT709 = 1
_GBR = 0  # H.273 matrix code of RGB


@dataclass(frozen=True)
class Encoding:
    """Settings of an encoder.

    Args:
        codec: FFmpeg's name of the encoder.
        pix_fmt: FFmpeg's name of the pixel format.
        width: pixels.
        height: pixels.
        time_base: seconds per tick of the frames' clock.
        rate: nominal frames per second.
        crf: constant rate factor, for encoders that have one.
        aspect: pixel width over height.
        primaries: H.273 code.
        transfer: H.273 code.
    """

    codec: str
    pix_fmt: str
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    crf: float
    aspect: Fraction
    primaries: int
    transfer: int

    def apply(self, context: av.VideoCodecContext) -> None:
        """Set up a codec context that is not yet open."""
        context.width, context.height = self.width, self.height
        context.pix_fmt = self.pix_fmt
        context.time_base, context.framerate = self.time_base, self.rate
        context.sample_aspect_ratio = self.aspect
        context.color_range = pixels.output_range(self.pix_fmt)
        is_rgb = av.VideoFormat(self.pix_fmt).is_rgb
        context.colorspace = _GBR if is_rgb else _BT709
        context.color_primaries = self.primaries
        context.color_trc = self.transfer
        if context.codec.name in BY_RATE_FACTOR:
            context.options = {'crf': f'{self.crf:g}', **_quiet(self.codec)}
        elif self.codec in _BY_QUANTISER:
            context.qscale, context.global_quality = True, _QUANTISER


def _quiet(codec: str) -> dict[str, str]:
    """Return options that keep an encoder from writing to the terminal."""
    return {'x265-params': 'log-level=error'} if codec == 'libx265' else {}


def plan_encoding(
    codec: str,
    pix_fmt: str | None,
    size: tuple[int, int],
    crf: float,
    source: VideoInfo | None,
) -> tuple[Encoding, list[str]]:
    """Find settings close to the requested ones that the encoder accepts.

    An odd size that cannot be subsampled is stored as 4:4:4. A time base that
    the encoder refuses is replaced by 1/60000 s or by one frame.

    Args:
        codec: FFmpeg's name of the encoder.
        pix_fmt: pixel format; None takes yuv420p, or the encoder's first.
        size: width and height, pixels.
        crf: constant rate factor.
        source: video that the frames come from; None if there is none.

    Returns:
        The settings, and one sentence for each difference from the request.

    Raises:
        VideoError: the codec or the format is unknown, or the encoder refuses
            all settings.
    """
    limit = 51 if codec.startswith('libx26') else 63
    if not 0 <= crf <= limit:
        raise VideoError(f'crf {crf:g} is not within 0 to {limit}')
    first = _request(codec, pix_fmt, size, crf, source)
    formats = [first.pix_fmt]
    if pixels.has_odd_chroma(first.pix_fmt, size):
        formats.append('yuv444p')
    rate = first.rate
    bases = [first.time_base, Fraction(1, 60000), 1 / rate]
    reason = ''
    for base, name in product(bases, formats):
        encoding = replace(first, pix_fmt=name, time_base=base)
        refusal = _try(encoding)
        if not refusal:
            return encoding, _differences(first, encoding)
        reason = reason or refusal
    raise VideoError(
        f'{codec} cannot encode {first.pix_fmt} at {size[0]}x{size[1]} '
        f'with crf {crf:g} ({reason})'
    )


def _request(
    codec: str,
    pix_fmt: str | None,
    size: tuple[int, int],
    crf: float,
    source: VideoInfo | None,
) -> Encoding:
    rate = (source.fps if source else None) or Fraction(25)
    known = source is not None and source.timed and source.kind == 'video'
    return Encoding(
        codec=codec,
        pix_fmt=_pick_format(codec, pix_fmt),
        width=size[0],
        height=size[1],
        time_base=source.time_base if known and source else 1 / rate,
        rate=rate.limit_denominator(1 << 16),
        crf=crf,
        aspect=source.sample_aspect_ratio if source else Fraction(1),
        primaries=_known(source.color_primaries if source else 2),
        transfer=_known(source.color_transfer if source else 2),
    )


def _known(code: int) -> int:
    return _BT709 if code in _UNKNOWN else code


def _pick_format(codec: str, pix_fmt: str | None) -> str:
    try:
        encoder = av.Codec(codec, 'w')
        formats = [f.name for f in encoder.video_formats or []]
    except ValueError:
        raise VideoError(f'there is no encoder called {codec!r}') from None
    if encoder.type != 'video':
        raise VideoError(f'{codec!r} does not encode video')
    if pix_fmt is None:
        usual = 'yuv420p' in formats or not formats
        return 'yuv420p' if usual else formats[0]
    if formats and pix_fmt not in formats:
        raise VideoError(
            f'{codec} has no pixel format {pix_fmt!r}, only '
            + ', '.join(formats)
        )
    return pix_fmt


def _try(encoding: Encoding) -> str:
    """Open an encoder on trial; return its error, or ''."""
    try:
        context = av.CodecContext.create(encoding.codec, 'w')
        assert isinstance(context, av.VideoCodecContext)
        encoding.apply(context)
        context.open()
    except (av.FFmpegError, ValueError, OverflowError) as error:
        return explain(error)
    return ''


def _differences(wanted: Encoding, got: Encoding) -> list[str]:
    notes = []
    if got.pix_fmt != wanted.pix_fmt:
        notes.append(
            f'{got.width}x{got.height} is odd, which {wanted.codec} cannot '
            f'store as {wanted.pix_fmt}: written as {got.pix_fmt}'
        )
    if got.time_base != wanted.time_base:
        notes.append(
            f'{wanted.codec} cannot keep the clock of the source: times are '
            f'rounded to {got.time_base} s'
        )
    return notes
