"""Clips whose picture flashes when their sound beeps, and where they do."""

from fractions import Fraction

import av
import numpy as np

from star.video.io import VideoReader, VideoWriter
from tests.test_video.clips import AUDIO_RATE, RATE

LENGTH = 3  # frames of a flash


def write_flashes(
    path,
    num_frames,
    at,
    codecs=('libx264', 'aac'),
    options=None,
    container=None,
    size=(64, 48),
):
    """Write a clip that flashes and beeps at some frames."""
    with av.open(str(path), 'w', container_options=container or {}) as output:
        video = output.add_stream(
            codecs[0], rate=RATE, options=options or {'g': '6', 'bf': '2'}
        )
        video.width, video.height, video.pix_fmt = *size, 'yuv420p'
        video.codec_context.thread_count = 1
        sound = output.add_stream(codecs[1], rate=AUDIO_RATE)
        beeps = _beeps(num_frames, at)
        place = 0
        for i in range(num_frames):
            lit = any(start <= i < start + LENGTH for start in at)
            level = 220 if lit else 40 + i % 20
            image = np.full((size[1], size[0], 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            output.mux(video.encode(frame))
            while place * RATE < min((i + 1) * AUDIO_RATE, beeps.size * RATE):
                piece = np.repeat(beeps[place : place + 1024], 2)[None]
                part = av.AudioFrame.from_ndarray(piece, 's16', 'stereo')
                part.sample_rate, part.pts = AUDIO_RATE, place
                part.time_base = Fraction(1, AUDIO_RATE)
                output.mux(sound.encode(part))
                place += 1024
        output.mux(video.encode(None))
        output.mux(sound.encode(None))
    return path


def _beeps(num_frames, at):
    step = AUDIO_RATE // RATE
    loud = np.zeros(num_frames * step)
    for start in at:
        loud[start * step : (start + LENGTH) * step] = 20000
    tone = np.sin(np.arange(loud.size) * 2 * np.pi * 1000 / AUDIO_RATE)
    return (tone * loud).astype(np.int16)


def find_flashes(path):
    """Return the seconds at which flashes and beeps of a file begin."""
    flashes, beeps, dark, quiet = [], [], True, 1.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            lit = frame.to_ndarray(format='gray').mean() > 150
            if lit and dark:
                flashes.append(float(frame.time))
            dark = not lit
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray()
            if samples.dtype.kind == 'i':
                samples = samples / 32768
            if not frame.format.is_planar:
                samples = samples.reshape(-1, len(frame.layout.channels)).T
            for i in np.flatnonzero(np.abs(samples).max(axis=0) > 0.2):
                now = float(frame.time) + i / frame.sample_rate
                if now - quiet > 0.03 or not beeps:
                    beeps.append(now)
                quiet = now
    return flashes, beeps


def rewrite(source, target):
    """Copy a video through our reader and writer; return the notes."""
    with VideoReader(source) as reader:
        info = reader.info
        with VideoWriter(target, info.width, info.height, info) as writer:
            for frame in reader:
                writer.write(frame.image, frame.time, frame.duration)
        return reader.notes
