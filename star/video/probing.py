"""`probe`: describes a video from its header and first frame."""

import os
import re
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from star.utils.files import list_visible
from star.video import pixels
from star.video.colour.light import read_light
from star.video.decode import Decoder, num_stored, open_input, pick_stream
from star.video.formats import IMAGE_SUFFIXES
from star.video.info import DEFAULT_RATE, VideoError, VideoInfo
from star.video.timing.fields import INTERLACED_NOTE

_MAX_TRUSTED_RATE = 240  # a higher one is compared with the timestamps


def probe(
    path: str | os.PathLike, fps: Fraction | float | None = None
) -> VideoInfo:
    """Describe a video from its header and its first frame.

    Args:
        path: a video, an image, or a folder of images.
        fps: frames per second of a folder of images; None takes 25.

    Raises:
        VideoError: it cannot be opened, or no frame of it decodes.
    """
    path = Path(path)
    if path.is_dir():
        return _probe_folder(path, Fraction(fps or DEFAULT_RATE))
    decoder = Decoder(path, strict=False)
    with closing(decoder):
        frame = next(decoder.frames(), None)
        if frame is None:
            reason = decoder.error or 'it holds none'
            raise VideoError(f'{path}: no frame can be decoded ({reason})')
        return _describe(decoder, frame)


def list_images(folder: Path) -> list[Path]:
    """List a folder's images in natural order (2 before 10)."""
    images = [
        path
        for path in list_visible(folder)
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()
    ]
    return sorted(images, key=lambda p: _natural(p.name))


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.findall(r'[0-9]+|[^0-9]+', name.lower())
    return [(int(p), '') if p.isdecimal() else (-1, p) for p in parts]


def _probe_folder(path: Path, rate: Fraction) -> VideoInfo:
    images = list_images(path)
    if not images:
        raise VideoError(f'{path}: the folder holds no images')
    others = len(list_visible(path)) - len(images)
    first = probe(images[0])
    note = f'entries of the folder that are not images: {others}'
    notes = (note,) if others else ()
    return replace(
        first,
        path=path,
        kind='folder',
        fps=rate,
        num_frames=len(images),
        time_base=1 / rate,
        timed=False,
        notes=(*first.notes, *notes),
    )


def _describe(decoder: Decoder, frame: av.VideoFrame) -> VideoInfo:
    stream = decoder.stream
    width, height = pixels.upright_size(frame)
    fps = None if decoder.is_image else _rate(decoder)
    return VideoInfo(
        path=decoder.path,
        kind='image' if decoder.is_image else 'video',
        width=width,
        height=height,
        fps=fps,
        num_frames=1 if decoder.is_image else _length(decoder, fps),
        time_base=stream.time_base or 1 / DEFAULT_RATE,
        start=_start(decoder),
        sample_aspect_ratio=pixels.upright_aspect(
            frame, stream.sample_aspect_ratio or Fraction(1)
        ),
        codec=stream.codec_context.name,
        pix_fmt=frame.format.name,
        color_range=int(frame.color_range),
        color_primaries=int(frame.color_primaries),
        color_transfer=int(frame.color_trc),
        color_matrix=int(frame.colorspace),
        depth=pixels.bit_depth(frame),
        has_alpha=pixels.shows_alpha(frame),
        light=read_light(frame),
        rotation=pixels.rotation(frame),
        interlaced=frame.interlaced_frame,
        timed=_is_timed(decoder),
        has_audio=bool(decoder.container.streams.audio),
        num_subtitles=len(decoder.container.streams.subtitles),
        notes=tuple(_notes(decoder, frame, fps)),
    )


def missing_times_note(fps: Fraction | None) -> str:
    """Return the note about frames without timestamps."""
    return f'timestamps are missing: {float(fps or 25):.5g} fps are assumed'


def _notes(
    decoder: Decoder, frame: av.VideoFrame, fps: Fraction | None
) -> list[str]:
    notes = pixels.conversion_notes(frame, depth=16, keep_alpha=True)
    if not decoder.is_image and decoder.stream.duration == 0:
        notes.append(missing_times_note(fps))
    if frame.interlaced_frame:
        notes.append(INTERLACED_NOTE)
    if decoder.num_pages > 1:
        notes.append(f'only the first of {decoder.num_pages} pages is read')
    skip = av.stream.Disposition.attached_pic
    videos = decoder.container.streams.video
    count = sum(not s.disposition & skip for s in videos)
    if count > 1:
        notes.append(f'only the first of {count} video streams is read')
    return notes


def _is_timed(decoder: Decoder) -> bool:
    """Return whether the timestamps are usable."""
    return not decoder.is_image and decoder.stream.duration != 0


def _start(decoder: Decoder) -> Fraction:
    """Return the earliest start of video and audio in seconds."""
    streams = [decoder.stream, *decoder.container.streams.audio]
    starts = [
        s.start_time * s.time_base
        for s in streams
        if s.start_time is not None and s.time_base
    ]
    return Fraction(min(starts, default=0))


def _rate(decoder: Decoder) -> Fraction | None:
    stream = decoder.stream
    rate = stream.average_rate or stream.guessed_rate
    if rate and rate <= _MAX_TRUSTED_RATE:
        return Fraction(rate)
    return _measured_rate(decoder.path) or rate


def _measured_rate(path: Path) -> Fraction | None:
    with open_input(path) as container:
        stream = pick_stream(container, path)
        packets = islice(container.demux(stream), 64)
        times = sorted(p.pts for p in packets if p.pts is not None)
        if len(times) < 2 or times[0] == times[-1]:
            return None
        ticks = Fraction(times[-1] - times[0], len(times) - 1)
        seconds = ticks * (stream.time_base or 1)
        return (1 / seconds).limit_denominator(1001)


def _length(decoder: Decoder, fps: Fraction | None) -> int | None:
    """Return or estimate the number of frames that will be shown."""
    stream, container = decoder.stream, decoder.container
    if stored := num_stored(container, stream):
        hidden = sum(entry.is_discard for entry in stream.index_entries)
        return stored - hidden
    if stream.duration and stream.time_base:
        seconds = stream.duration * stream.time_base
    elif container.duration:
        seconds = Fraction(container.duration, av.time_base)
    else:
        return None
    return max(1, round(seconds * fps)) if fps else None
