"""`add_target`: adds the stream that another is copied or encoded into."""

from fractions import Fraction

import av
from av.subtitles.stream import SubtitleStream

from star.video.streams import rules as rules

_LAYOUTS = ('mono', 'stereo', '3.0', 'quad', '5.0', '5.1', '6.1', '7.1')
_BIT_RATES = {  # of one channel; the others need none
    'aac': 128_000,
    'libopus': 96_000,
    'ac3': 160_000,
    'mp2': 128_000,
    'wmav2': 96_000,
}
_MAX_RATES = {'ac3': 640_000, 'mp2': 384_000, 'wmav2': 192_000}
_SUFFIXES = {'mjpeg': 'jpg', 'jpeg2000': 'jp2'}
_MIME = {'mjpeg': 'image/jpeg', 'tiff': 'image/tiff'}
_PLAIN = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Alignment
Style: Default,Arial,16,&Hffffff,2

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


def add_target(
    stream: av.stream.Stream,
    encoder: str,
    output: av.container.OutputContainer,
) -> av.stream.Stream:
    """Add an output stream for one of the source.

    Args:
        stream: of the source.
        encoder: FFmpeg's name; '' to copy the packets as they are.
        output: container whose header is not yet written.

    Raises:
        ValueError: the container or the encoder refuses.
        av.FFmpegError: likewise.
    """
    if not encoder:
        return output.add_stream_from_template(stream, opaque=True)
    if isinstance(stream, av.AudioStream):
        return _add_sound(output, stream, encoder)
    assert isinstance(stream, SubtitleStream)
    return _add_text(output, stream, encoder)


def add_cover(
    stream: av.stream.Stream,
    data: bytes,
    output: av.container.OutputContainer,
) -> None:
    """Attach a picture to a Matroska file."""
    codec = rules.canonical(stream)
    name = stream.metadata.get('filename')
    mime = stream.metadata.get('mimetype') or _MIME.get(codec)
    output.add_attachment(
        name or f'cover.{_SUFFIXES.get(codec, codec)}',
        mime or f'image/{codec}',
        data,
    )


def _add_sound(
    output: av.container.OutputContainer,
    stream: av.AudioStream,
    encoder: str,
) -> av.AudioStream:
    rate, layout = sound_shape(stream, encoder)
    target = output.add_stream(encoder, rate=rate)
    assert isinstance(target, av.AudioStream)
    _set_up(target.codec_context, stream, rate, layout)
    target.time_base = Fraction(1, rate)
    return target


def sound_shape(stream: av.AudioStream, encoder: str) -> tuple[int, str]:
    """Find the rate and layout of an encoder that are next to a stream's.

    Raises:
        ValueError: the stream's are unknown, or the encoder takes none.
    """
    source = stream.codec_context
    if not source.sample_rate or not source.layout.nb_channels:
        raise ValueError('its rate and channels are unknown')
    rates = sorted(av.Codec(encoder, 'w').audio_rates or [])
    above = [r for r in rates if r >= source.sample_rate]
    rate = (above or rates[-1:] or [source.sample_rate])[0]
    for layout in _layouts(source.layout):
        trial = av.CodecContext.create(encoder, 'w')
        assert isinstance(trial, av.AudioCodecContext)
        try:
            _set_up(trial, stream, rate, layout)
            trial.open()
        except (av.FFmpegError, ValueError):
            continue
        return rate, layout
    raise ValueError(f'{encoder} takes no sound of this kind')


def _layouts(layout: av.AudioLayout) -> list[str]:
    """List layouts to try, those that lose no channel first."""
    wanted, names = layout.nb_channels, {c.name for c in layout.channels}
    known = [layout.name] if names != {'NONE'} and names else []
    sizes = {name: av.AudioLayout(name) for name in _LAYOUTS}

    def loss(name: str) -> tuple[bool, bool, int]:
        other = sizes[name]
        has = {c.name for c in other.channels}
        return (
            other.nb_channels < wanted,
            'LFE' in names and 'LFE' not in has,
            abs(other.nb_channels - wanted),
        )

    return [*known, *sorted(_LAYOUTS, key=loss)]


def _set_up(
    context: av.AudioCodecContext,
    stream: av.AudioStream,
    rate: int,
    layout: str,
) -> None:
    codec = context.codec
    formats = [f.name for f in codec.audio_formats or []]
    wanted = ('s32', 's32p') if rules.is_wide(stream) else ('s16', 's16p')
    context.sample_rate, context.layout = rate, layout
    context.format = next((f for f in wanted if f in formats), formats[0])
    context.time_base = Fraction(1, rate)
    if codec.name in _BIT_RATES:
        channels = av.AudioLayout(layout).nb_channels
        most = _MAX_RATES.get(codec.name, 1 << 30)
        context.bit_rate = min(_BIT_RATES[codec.name] * channels, most)


def _add_text(
    output: av.container.OutputContainer,
    stream: SubtitleStream,
    encoder: str,
) -> SubtitleStream:
    target = output.add_stream(encoder)
    assert isinstance(target, SubtitleStream)
    source = stream.codec_context
    source.open(strict=False)
    header = source.subtitle_header
    if header is None:
        raise ValueError('its text cannot be decoded')
    if rules.canonical(stream) == 'mov_text':
        header = _PLAIN  # its default colour is the player's
    target.codec_context.subtitle_header = header
    target.time_base = target.codec_context.time_base = Fraction(1, 1000)
    target.codec_context.open()
    return target
