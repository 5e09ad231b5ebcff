"""The pieces of a result, and the file that they are joined to."""

import gc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from star.video.encoder import plan_encoding
from star.video.pieces import VideoCoder, decoding_times, join_video
from star.video.sinks import VideoSink
from star.video.streams.times import measure_times
from tests.test_video.clips import pictures

STATUS = Path('/proc/self/status')
LASTING = 10, 30, 5, 20, 100  # in 1/100 s


@pytest.mark.parametrize('order', [(0, 1, 2, 3), (0, 2, 1, 3), (0, 3, 2, 1)])
def test_decoding_takes_as_long_as_showing(order: tuple[int, ...]) -> None:
    shown = [Fraction(t, 10) for t in (0, 1, 4, 9)]
    times = [shown[i] for i in order]
    decoded = decoding_times(times)
    assert sorted(set(decoded)) == decoded
    assert all(d <= t for d, t in zip(decoded, times, strict=True))
    assert decoded[-1] - decoded[0] == shown[-1] - shown[0]


@pytest.mark.parametrize('suffix', ['.mp4', '.mov'])
def test_the_last_of_uneven_frames_lasts(tmp_path: Path, suffix: str) -> None:
    encoding, _ = plan_encoding(None, None, (64, 48), 17, None, suffix)
    encoding = replace(encoding, time_base=Fraction(1, 100))
    coder = VideoCoder(encoding, suffix)
    time = Fraction(0)
    for image, hundredths in zip(pictures(5), LASTING, strict=True):
        length = Fraction(hundredths, 100)
        coder.write(image, time, length)
        time += length
    piece = coder.finish()
    sink = VideoSink(tmp_path / f'a{suffix}', encoding)
    sink.begin()
    join_video(sink, [piece.frames], lambda _: piece)
    sink.finish()
    with av.open(str(tmp_path / f'a{suffix}')) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == time
        assert measure_times(tmp_path / f'a{suffix}').picture_seconds == time
        last = list(container.decode(stream))[-1]
        assert last.duration * last.time_base == 1


@pytest.mark.skipif(
    not STATUS.exists(), reason='memory is read where Linux says it'
)
def test_a_finished_coder_holds_no_encoder():
    """Of 720p each takes 160 MB, and Python frees cycles when it likes."""
    encoding, _ = plan_encoding(None, None, (1280, 720), 17, None, '.mp4')
    image, memory = np.zeros((720, 1280, 3), np.uint8), []
    gc.disable()
    try:
        for _ in range(4):
            coder = VideoCoder(encoding, '.mp4')
            for i in range(50):
                coder.write(image, Fraction(i, 25), Fraction(1, 25))
            coder.finish()
            del coder
            memory.append(resident())
    finally:
        gc.enable()
    assert memory[-1] - memory[1] < 100 << 20


def resident() -> int:
    """Return the memory of this process, in bytes."""
    status = STATUS.read_text().splitlines()
    (line,) = [each for each in status if each.startswith('VmRSS')]
    return int(line.split()[1]) * 1024
