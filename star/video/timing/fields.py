"""Filters for frames of two fields: deinterlacing, and inverse telecine."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import av
import numpy as np

from star.video.timing.telecine import CYCLE, FILM

Timed = tuple[av.VideoFrame, Fraction, Fraction]  # frame, time, duration
_EMPTY = (BlockingIOError, EOFError)
_RATE = Fraction(30000, 1001)
INTERLACED_NOTE = (
    'interlaced video is deinterlaced (bwdif, one frame for each frame)'
)
FILM_NOTE = (
    'telecined film is restored to its own frames, four of five (fieldmatch, '
    'decimate)'
)


def deinterlace(
    timed: Iterable[Timed], note: Callable[[str], None]
) -> Iterator[Timed]:
    """Filter frames with bwdif from the first interlaced one on."""
    graph: av.filter.Graph | None = None
    waiting: deque[tuple[Fraction, Fraction]] = deque()
    for i, (frame, time, duration) in enumerate(timed):
        if graph is None and not frame.interlaced_frame:
            yield frame, time, duration
            continue
        if graph is None:
            note(INTERLACED_NOTE)
            graph = _link(frame, ('bwdif', 'mode=send_frame:deint=interlaced'))
        waiting.append((time, duration))
        frame.pts = i
        graph.vpush(frame)
        for shown in _pull(graph):
            yield shown, *waiting.popleft()
    if graph is not None:
        graph.vpush(None)
        for shown in _pull(graph):
            yield shown, *waiting.popleft()


def film_frames(timed: Iterable[Timed]) -> Iterator[Timed]:
    """Match fields to film frames and drop one frame of each five.

    The four frames of film share the time of the five evenly. A frame that
    stays combed, as at a cut, is deinterlaced.
    """
    clock = _FilmClock()
    graph: av.filter.Graph | None = None
    for i, (frame, time, duration) in enumerate(timed):
        if graph is None:
            order = 'auto' if frame.interlaced_frame else 'tff'
            graph = _link(
                frame,
                ('fieldmatch', f'order={order}:combmatch=full'),
                ('bwdif', 'mode=send_frame:deint=interlaced'),
                ('decimate', f'cycle={CYCLE}'),
            )
        clock.starts.append(time)
        clock.end = time + duration
        frame.pts = i
        graph.vpush(frame)
        clock.frames += _pull(graph)
        yield from clock.ready()
    if graph is not None:
        graph.vpush(None)
        clock.frames += _pull(graph)
        yield from clock.rest()


class _FilmClock:
    """Gives frames of film their times.

    Attributes:
        starts: times of the frames of video from the current cycle on.
        end: of the last of them.
        frames: of film, not yet timed.
    """

    def __init__(self) -> None:
        self.starts: deque[Fraction] = deque()
        self.end = Fraction(0)
        self.frames: deque[av.VideoFrame] = deque()
        self._last: av.VideoFrame | None = None

    def ready(self) -> Iterator[Timed]:
        """Yield the frames of the cycles that are complete."""
        while len(self.frames) >= FILM and len(self.starts) > CYCLE:
            yield from self._share(CYCLE, FILM, self.starts[CYCLE])

    def rest(self) -> Iterator[Timed]:
        """Yield all other frames; the last one ends with the video."""
        yield from self.ready()
        while self.starts and self.frames:
            cycle = min(CYCLE, len(self.starts))
            count = max(1, round(cycle * FILM / CYCLE))
            if len(self.starts) <= CYCLE:
                self._drop_repeats(count)
            more = len(self.starts) > cycle
            end = self.starts[cycle] if more else self.end
            yield from self._share(cycle, count, end)

    def _share(self, cycle: int, count: int, end: Fraction) -> Iterator[Timed]:
        """Yield some frames over the time of a cycle, at film's rate."""
        start = self.starts[0]
        step = (end - start) / cycle * CYCLE / FILM
        count = min(count, len(self.frames))
        for i in range(count):
            self._last = self.frames.popleft()
            time = start + i * step
            yield self._last, time, step if i < count - 1 else end - time
        for _ in range(cycle):
            self.starts.popleft()

    def _drop_repeats(self, count: int) -> None:
        """Leave some frames of the last, short cycle."""
        while len(self.frames) > count:
            before = [self._last or self.frames[-1], *self.frames]
            changes = [
                _change(a, b)
                for a, b in zip(before, self.frames, strict=False)
            ]
            del self.frames[changes.index(min(changes))]


def _change(one: av.VideoFrame, other: av.VideoFrame) -> float:
    lumas = (
        frame.reformat(format='gray').to_ndarray().astype(np.int16)
        for frame in (one, other)
    )
    return float(np.abs(np.subtract(*lumas)).mean())


def _link(frame: av.VideoFrame, *filters: tuple[str, str]) -> av.filter.Graph:
    """Build a chain of filters for frames like one."""
    graph = av.filter.Graph()
    last = graph.add(
        'buffer',
        f'video_size={frame.width}x{frame.height}:'
        f'pix_fmt={frame.format.name}:time_base={1 / _RATE}:'
        f'frame_rate={_RATE}:pixel_aspect=1/1',
    )
    for name, options in (*filters, ('buffersink', '')):
        node = graph.add(name, options)
        last.link_to(node)
        last = node
    graph.configure()
    return graph


def _pull(graph: av.filter.Graph) -> list[av.VideoFrame]:
    frames: list[av.VideoFrame] = []
    while True:
        try:
            frame = graph.vpull()
        except _EMPTY:
            return frames
        assert isinstance(frame, av.VideoFrame)
        frames.append(frame)
