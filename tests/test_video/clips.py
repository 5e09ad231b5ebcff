"""Small clips made on the spot for the tests of video files."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from star.video.io import VideoReader, VideoWriter

RATE = 25
AUDIO_RATE = 48000


def pictures(num_frames=6, width=64, height=48, seed=0):
    """Make smooth colourful frames, (T, H, W, 3) uint8, each one different."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 16
    out = []
    for i in range(num_frames):
        phase = rng.uniform(0, 6, 3) + i / 3
        waves = [np.sin(x * (c + 1) / 2 + y + phase[c]) for c in range(3)]
        out.append(np.stack(waves, -1) * 100 + 128)
    return np.rint(np.stack(out)).astype(np.uint8)


def write_clip(
    path: Path,
    frames,
    times=None,
    codec='libx264',
    pix_fmt='yuv420p',
    audio=0.0,
    audio_start=0.0,
    rotation=0,
    hflip=False,
    aspect=1,
    tags=None,
    options=None,
    container=None,
    format=None,
):
    """Write a clip with PyAV alone; `frames` are RGB arrays or VideoFrames.

    `tags` is (range, matrix, primaries, transfer) in H.273 codes.
    """
    path = Path(path)
    with av.open(
        str(path), 'w', format=format, container_options=container or {}
    ) as output:
        stream = output.add_stream(codec, rate=RATE, options=options or {})
        first = frames[0]
        is_array = isinstance(first, np.ndarray)
        stream.width = first.shape[1] if is_array else first.width
        stream.height = first.shape[0] if is_array else first.height
        stream.pix_fmt = pix_fmt
        context = stream.codec_context
        base = Fraction(1, RATE if times is None else 30000)
        context.time_base, context.thread_count = base, 1
        context.sample_aspect_ratio = Fraction(aspect)
        if tags:
            context.color_range, context.colorspace = tags[:2]
            context.color_primaries, context.color_trc = tags[2:]
        if rotation or hflip:
            stream.set_display_rotation(rotation, hflip=hflip)
        sound = output.add_stream('aac', rate=AUDIO_RATE) if audio else None
        for i, image in enumerate(frames):
            time = Fraction(i, RATE) if times is None else times[i]
            frame = _frame(image)
            frame.pts, frame.time_base = round(time / base), base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if sound is not None:
            write_sine(output, sound, audio, audio_start)
    return path


def _frame(image):
    if isinstance(image, np.ndarray):
        return av.VideoFrame.from_ndarray(np.ascontiguousarray(image), 'rgb24')
    return image


def write_sine(output, stream, seconds, start=0):
    """Encode and mux a tone of some seconds."""
    count = int(seconds * AUDIO_RATE)
    samples = np.sin(np.arange(count) * 2 * np.pi * 440 / AUDIO_RATE)
    data = (samples * 20000).astype(np.int16)
    for i in range(0, count, 1024):
        piece = np.repeat(data[i : i + 1024], 2)[None]
        frame = av.AudioFrame.from_ndarray(piece, 's16', 'stereo')
        frame.sample_rate = AUDIO_RATE
        frame.pts = i + round(start * AUDIO_RATE)
        frame.time_base = Fraction(1, AUDIO_RATE)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


def packets(path: Path, kind: str):
    """List (time, bytes) of each packet of a file's streams of a kind."""
    with av.open(str(path)) as container:
        streams = [s for s in container.streams if s.type == kind]
        if not streams:
            return []
        return [
            (float(p.pts * p.time_base), bytes(p))
            for p in container.demux(streams)
            if p.size
        ]


def ramp(count: int):
    """Make a grey frame of each brightness, to recognise frames by."""
    levels = np.linspace(40, 220, count).round().astype(np.uint8)
    return [np.full((48, 64, 3), level, np.uint8) for level in levels]


def images(path, **options):
    with VideoReader(path, **options) as reader:
        return np.stack([frame.image for frame in reader])


def yuv_planes(frame):
    """Return the stored planes of a frame with 8 or up to 16 bits."""
    planes = []
    for plane, part in zip(frame.planes, frame.format.components, strict=True):
        dtype = np.uint8 if part.bits == 8 else np.uint16
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)
        planes.append(rows[:, : plane.width].copy())
    return planes


def flat_frame(pix_fmt, luma=100, cb=None, cr=None, noise=0):
    """Make a frame of constant planes, the chroma with noise."""
    frame = av.VideoFrame(32, 16, pix_fmt)
    rng = np.random.default_rng(0)
    for plane, value in zip(frame.planes, (luma, cb, cr), strict=False):
        deep = pix_fmt.endswith('le')
        rows = np.frombuffer(plane, '<u2' if deep else 'u1')
        rows = rows.reshape(plane.height, -1)
        rows[:] = value
        if value is not luma and noise:
            rows[:] += rng.integers(-noise, noise + 1, rows.shape).astype(
                rows.dtype
            )
    return frame


def rewrite(source, target, num_frames=None, **options):
    """Read a video and write it again, as large; return the notes."""
    with VideoReader(source, num_frames) as reader:
        info = reader.info
        with VideoWriter(
            target, info.width, info.height, info, **options
        ) as writer:
            for frame in reader:
                writer.write(frame.image, frame.time, frame.duration)
    return writer.notes
