"""Clips with sound, subtitles and other streams of every kind."""

from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

from tests.test_video import clips
from tests.test_video.clips import RATE, ramp

MS = Fraction(1, 1000)
CLICKS = 0.5, 1.0, 1.5  # seconds
ASS_HEADER = b"""[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,16

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


@dataclass
class Sound:
    """A stream of clicks, one at each of `CLICKS`."""

    codec: str = 'aac'
    layout: str = 'stereo'
    rate: int = 48000
    start: float = 0
    metadata: dict = field(default_factory=dict)
    disposition: int = 0
    damaged: tuple = ()  # numbers of packets to overwrite
    seconds: float = 2
    samples: int = 1024  # of a packet, where the codec does not say


@dataclass
class Text:
    """Subtitles: (begin, end or None, packet) each."""

    codec: str
    lines: list
    metadata: dict = field(default_factory=dict)
    disposition: int = 0


def mix(
    path,
    *streams,
    codec='mpeg4',
    seconds=2,
    start=0,
    metadata=None,
    chapters=(),
    picture=None,
    prepare=None,
):
    """Write a grey clip with further streams.

    Args:
        path: of the clip; its suffix chooses the container.
        streams: `Sound` and `Text`.
        codec: of the picture.
        seconds: of the picture.
        start: of the picture, seconds.
        metadata: of the file.
        chapters: (begin, end, title), seconds.
        picture: metadata of the picture's stream.
        prepare: called with the container before its header is written; its
            result is called after it.
    """
    with av.open(str(path), 'w') as output:
        video = output.add_stream(codec, rate=RATE)
        video.width, video.height, video.pix_fmt = 64, 48, 'yuv420p'
        video.codec_context.max_b_frames = 0
        video.metadata.update(picture or {})
        targets = [_add(output, stream) for stream in streams]
        output.metadata.update(metadata or {})
        output.set_chapters(
            [
                {
                    'id': i,
                    'start': round(begin * 1000),
                    'end': round(end * 1000),
                    'time_base': MS,
                    'metadata': {'title': title},
                }
                for i, (begin, end, title) in enumerate(chapters, 1)
            ]
        )
        after = prepare(output) if prepare else None
        output.start_encoding()
        if after:
            after()
        for i, image in enumerate(ramp(round(seconds * RATE))):
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            frame.pts += round(start * RATE)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for stream, target in zip(streams, targets, strict=True):
            _write(output, stream, target)
    return path


def _add(output, stream):
    if isinstance(stream, Text):
        target = output.add_stream(stream.codec)
        target.codec_context.subtitle_header = ASS_HEADER
        target.time_base = target.codec_context.time_base = MS
    else:
        target = output.add_stream(stream.codec, rate=stream.rate)
        target.codec_context.layout = stream.layout
        target.codec_context.options = {'strict': 'experimental'}  # Vorbis
        if stream.codec in ('aac', 'ac3', 'mp2', 'libopus', 'wmav2'):
            target.codec_context.bit_rate = 128_000
    target.metadata.update(stream.metadata)
    target.disposition = stream.disposition
    return target


def _write(output, stream, target):
    if isinstance(stream, Text):
        for line in stream.lines:
            output.mux(text_packet(target, *line))
        return
    count = 0
    for frame in _frames(stream, target.codec_context):
        for packet in target.encode(frame):
            if count in stream.damaged:
                packet.update(bytes(b ^ 0x5A for b in bytes(packet)))
            count += 1
            output.mux(packet)


def text_packet(target, begin, end, data):
    """Make a packet of a subtitle; it has no end where `end` is None."""
    packet = av.Packet(data)
    packet.stream, packet.time_base = target, MS
    packet.pts = packet.dts = round(begin * 1000)
    packet.duration = 0 if end is None else round((end - begin) * 1000)
    return packet


def _frames(stream, context):
    """Yield frames with clicks of a millisecond, then None."""
    rate, layout = stream.rate, av.AudioLayout(stream.layout)
    samples = np.zeros((round(stream.seconds * rate), layout.nb_channels))
    for time in CLICKS:
        place = round((time - stream.start) * rate)
        samples[max(place, 0) : max(place + rate // 1000, 0)] = 0.9
    shape = av.AudioResampler(context.format, stream.layout, rate)
    size = context.frame_size or stream.samples
    for i in range(0, len(samples), size):
        data = samples[i : i + size].astype(np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, 'flt', stream.layout)
        frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
        frame.pts = i + round(stream.start * rate)
        yield from shape.resample(frame)
    yield None


def clicks(path, index=0):
    """Measure when clicks are heard, in seconds after the first picture.

    Returns:
        Times, the number of channels, and the sampling rate.
    """
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    times, quiet = [], -1.0
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.audio[index]):
            begin = frame.time - first
            for i in np.flatnonzero(_loudness(frame) > 0.4):
                time = begin + i / frame.sample_rate
                if time > quiet:
                    times.append(time)
                quiet = time + 0.1
    return times, frame.layout.nb_channels, frame.sample_rate


def _loudness(frame):
    """Return the largest channel of each sample, in [0, 1].

    PyAV reads beyond the planes of a frame with eight channels.
    """
    shape = av.AudioResampler('flt', frame.layout, frame.sample_rate)
    frame.pts = None
    data = np.concatenate(
        [
            f.to_ndarray()
            for f in (*shape.resample(frame), *shape.resample(None))
        ],
        axis=1,
    )
    return np.abs(data.reshape(-1, frame.layout.nb_channels)).max(1)


def texts(path, index=0):
    """Read subtitles: (begin, end, plain text), in seconds."""
    lines = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[index]
        for packet in container.demux(stream):
            if not packet.size:
                continue
            found = stream.codec_context.decode2(packet)
            text = '\n'.join(r.dialogue.decode() for r in found or ())
            begin = float(packet.pts * packet.time_base)
            end = begin + float(packet.duration * packet.time_base)
            if text:
                lines.append((round(begin, 3), round(end, 3), text))
    return lines


def rewrite(source, target, **options):
    """Rewrite a video with a quick codec, unless one is named."""
    codecs = {'.webm': 'libvpx-vp9', '.mpg': 'mpeg2video', '.avi': 'mpeg4'}
    options.setdefault('codec', codecs.get(target.suffix, 'libx264'))
    return clips.rewrite(source, target, **options)
