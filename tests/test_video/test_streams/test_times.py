"""The times of picture and sound, measured in files whose times are known."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from star.video.info import VideoError
from star.video.streams.times import measure_times

RATE = 48000


def write(
    path: Path, first: Fraction, sound: Fraction | None, seconds: int = 1
) -> Path:
    """Write 25 frames from `first`, and sound from `sound` on."""
    with av.open(path, 'w') as output:
        video = output.add_stream('mpeg4', rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, 'yuv420p'
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        audio = None
        if sound is not None:
            codec = 'pcm_s16le' if path.suffix == '.mkv' else 'mp2'
            audio = output.add_stream(codec, rate=RATE, layout='mono')
        for i in range(25):
            frame = av.VideoFrame(32, 32, 'yuv420p')
            frame.pts = round((first + Fraction(i, 25)) * 1000)
            frame.time_base = Fraction(1, 1000)
            for packet in video.encode(frame):
                packet.duration = 40
                output.mux(packet)
        output.mux(video.encode(None))
        if audio is not None and sound is not None:
            tone = np.zeros((1, RATE * seconds), np.int16)
            heard = av.AudioFrame.from_ndarray(tone, 's16', 'mono')
            heard.sample_rate, heard.time_base = RATE, Fraction(1, RATE)
            heard.pts = round(sound * RATE)
            output.mux(audio.encode(heard))
            output.mux(audio.encode(None))
    return path


@pytest.mark.parametrize('first', [Fraction(0), Fraction(1, 2)])
@pytest.mark.parametrize('sound', [Fraction(0), Fraction(1, 5), Fraction(2)])
def test_times_are_those_that_were_written(
    tmp_path: Path, first: Fraction, sound: Fraction
) -> None:
    times = measure_times(write(tmp_path / 'in.mkv', first, sound))
    assert times.offset == sound - first
    assert times.picture_seconds == 1
    assert times.sound_seconds == 1


def test_an_encoders_delay_is_no_offset(tmp_path: Path) -> None:
    path = tmp_path / 'in.mp4'
    with av.open(path, 'w') as output:
        video = output.add_stream('libx264', rate=25)
        video.width, video.height, video.pix_fmt = 32, 32, 'yuv420p'
        audio = output.add_stream('aac', rate=RATE, layout='mono')
        for i in range(50):  # with B-frames, and AAC's silent first packet
            frame = av.VideoFrame.from_ndarray(
                np.full((32, 32, 3), 5 * i, np.uint8), 'rgb24'
            )
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        tone = np.zeros((1, 2 * RATE), np.float32)
        heard = av.AudioFrame.from_ndarray(tone, 'fltp', 'mono')
        heard.sample_rate = RATE
        output.mux(audio.encode(heard))
        output.mux(audio.encode(None))
    times = measure_times(path)
    assert times.offset == 0
    assert times.picture_seconds == 2
    assert float(times.sound_seconds) == pytest.approx(2, abs=0.03)


def test_without_sound_or_times(tmp_path: Path) -> None:
    times = measure_times(write(tmp_path / 'in.mkv', Fraction(0), None))
    assert times.offset is None
    assert (times.sound_start, times.sound_seconds) == (None, 0)
    (tmp_path / 'none.mp4').write_bytes(b'nothing')
    with pytest.raises(VideoError, match='cannot be opened'):
        measure_times(tmp_path / 'none.mp4')
