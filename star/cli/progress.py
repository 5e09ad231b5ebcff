"""The progress of a restoration: a line on a terminal, else rare lines."""

import math
import sys
import threading
import time
from bisect import bisect_right
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple, TextIO

from tqdm import tqdm

from star.utils.text import one_line

_STAGES = ('encode', 'denoise', 'decode')
_DECODE_OVER_ENCODE = 3  # time, until it is known: 10.6 to 3.8 TFLOP a frame
_LEAST = 2.0  # seconds of work that an estimate rests on
_EARLY = 1.0  # seconds until the first line; less work needs none
_TICK = 0.5  # seconds between two looks at the clock
_FORMAT = '{desc}: {percentage:.0f}%{postfix} |{bar:20}|'


class _End(NamedTuple):
    """The end of a segment."""

    frames: int  # that are done
    when: float  # seconds
    ahead: int = 0  # frames that the next segment encodes again


class TimeLeft:
    """Estimates how long a restoration will take from its segments so far.

    A segment goes through all stages and ends with 'decode'; a method that
    has only this stage reports it once for each. Segments cost about the same
    time for each frame that they add. The older half of the frames does not
    count, nor does what the first segment needs to warm up.

    Args:
        now: seconds of a clock.

    Attributes:
        start: frames of an earlier run.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.start = 0
        self._last, self._several = now, False
        self._ends: list[_End] = []
        self._open: _End | None = None  # perhaps the newest segment's
        self._seconds = dict.fromkeys(_STAGES, 0.0)  # of the first one
        self._done = dict.fromkeys(_STAGES, 0)

    def update(self, stage: str, done: int, now: float) -> None:
        """Receive an event.

        Args:
            stage: 'encode', 'denoise' or 'decode'. Others are ignored, and
                the time until them. If the first of these is 'decode', it
                states what an earlier run has done.
            done: frames that have passed this stage.
            now: seconds of the clock.
        """
        if stage not in self._done:
            self._last = now
            return
        if not self._ends:
            known = stage == 'decode'
            self.start = done if known else 0
            self._ends = [_End(self.start, now if known else self._last)]
        elif stage == 'decode' and done > self._ends[-1].frames:
            ahead = self.start + self._done['encode'] - done
            self._open = _End(done, now, max(0, ahead))
        self._several = self._several or stage != 'decode'
        self._seconds[stage] += now - self._last
        self._done[stage], self._last = done - self.start, now
        if self._open and (stage != 'decode' or not self._several):
            self._ends.append(self._open)
            self._open = None

    def pace(self) -> float | None:
        """Return the seconds of a frame; None until a segment is done."""
        if len(self._ends) < 2:
            return None
        last = self._ends[-1]
        half = (self.start + last.frames) // 2
        at = bisect_right(self._ends, half, key=lambda end: end.frames) - 1
        if last.when - self._ends[at].when < _LEAST:
            at = 0
        first = self._ends[at]
        return (last.when - first.when) / (last.frames - first.frames)

    def left(self, total: int, now: float) -> float | None:
        """Return the seconds left for `total` frames; None if unknown."""
        pace = self.pace()
        if pace is None:
            return None
        last = self._ends[-1]
        if last.when - self._ends[0].when < _LEAST:
            return None
        whole = pace * self._weigh(total - last.frames)
        return max(0.0, whole - (now - last.when))

    def _weigh(self, rest: int) -> float:
        """Return frames at the usual pace that cost as much as the rest.

        Before decoding, segments that overlap do `size` frames of work to
        add `step`, but the last one adds all that it does.
        """
        last = self._ends[-1]
        step = last.frames - self._ends[-2].frames
        size = step + last.ahead
        whole = max(0, math.ceil((rest - size) / step))
        work = (whole * size + rest - whole * step) * step / size
        decode = self._seconds['decode'] / sum(self._seconds.values())
        return decode * rest + (1 - decode) * work

    def spent(self, now: float) -> float:
        """Return the seconds since the first frame began."""
        return now - self._ends[0].when if self._ends else 0.0

    def roughly(self, total: int) -> float | None:
        """Return the seconds left, in the first segment; None if unknown."""
        costs = {
            stage: self._seconds[stage] / done
            for stage, done in self._done.items()
            if done > 0
        }
        if 'denoise' not in costs or 'encode' not in costs:
            return None
        costs.setdefault('decode', costs['encode'] * _DECODE_OVER_ENCODE)
        return sum(
            cost * max(0, total - self.start - self._done[stage])
            for stage, cost in costs.items()
        )


class ProgressBar:
    """Shows the events of a restoration.

    On a terminal there is one line. Elsewhere there is a line after a second,
    when a stage begins for the first time, and then every `pause` seconds,
    even while nothing happens.

    Args:
        name: of the clip.
        stream: where to; None for the standard error stream.
        pause: seconds between two lines where the stream is no terminal.

    Attributes:
        told: notes that were printed.
    """

    def __init__(
        self, name: str, stream: TextIO | None = None, pause: float = 30
    ) -> None:
        self.name = name = one_line(name)
        self.told: list[str] = []
        self.stream = sys.stderr if stream is None else stream
        self._pause = pause
        now = time.monotonic()
        self._time_left = TimeLeft(now)
        self._next = self._first = now + min(_EARLY, pause)
        self._newest: tuple[str, int, int | None] = ('starting', 0, None)
        self._seen: set[str] = set()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._bar = tqdm(
            total=1.0,
            desc=name,
            file=self.stream,
            disable=not self.stream.isatty(),
            leave=False,
            miniters=0,
            bar_format=_FORMAT,
        )
        self._clock = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> 'ProgressBar':
        self._clock.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._clock.join()
        self._bar.close()

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` frames have passed a stage."""
        with self._lock:
            now = time.monotonic()
            self._time_left.update(stage, done, now)
            self._newest = stage, done, total
            self._show(now, stage not in self._seen)
            self._seen.add(stage)

    def note(self, text: str) -> None:
        """Print a note at once, above the progress."""
        self.told.append(text)
        with self._lock, tqdm.external_write_mode(self.stream):
            line = one_line(f'note: {self.name}: {text}')
            print(line, file=self.stream, flush=True)

    def _tick(self) -> None:
        while not self._over.wait(_TICK):
            # a stream that is closed ends the command elsewhere
            with self._lock, suppress(OSError, ValueError):
                self._show(time.monotonic())

    def _show(self, now: float, at_once: bool = False) -> None:
        if self._bar.disable:
            due = now >= self._next
            if due:
                self._next = now + self._pause
            if due or (at_once and now >= self._first):
                share, text = self._describe(now)
                line = f'{self.name}: {share:.0%}, {text}'
                print(line, file=self.stream, flush=True)
            return
        share, text = self._describe(now)
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update(share - self._bar.n)

    def _describe(self, now: float) -> tuple[float, str]:
        """Return the share that is done, and the rest of the line."""
        stage, done, total = self._newest
        if stage == 'starting':
            return 0.0, stage
        if total is None or total < done:  # a container may be wrong
            return 0.0, f'{stage} {done}/?'
        text = f'{stage} {done}/{total}'
        if stage == 'read':
            return 0.0, text
        left, pace = self._time_left.left(total, now), self._time_left.pace()
        if left is not None and pace:
            rest = timedelta(seconds=round(left))
            share = max(0.0, 1 - left / pace / total)
            return share, f'{text}, {1 / pace:.2f} frames/s, {rest} left'
        start = self._time_left.start / total
        left = self._time_left.roughly(total)
        if left is None:
            return start, text
        spent = self._time_left.spent(now)
        share = start + (1 - start) * spent / (spent + left)
        rest = timedelta(seconds=round(left))
        return share, f'{text}, roughly {rest} left'


class ItemProgress:
    """Prints how many items are done and how long the others will take.

    Args:
        total: number of items.
        unit: such as 'videos'.
        done: items of an earlier run.
        pause: seconds between two lines; the last item always has one.
    """

    def __init__(
        self, total: int, unit: str, done: int = 0, pause: float = 5
    ) -> None:
        self.total, self.unit, self.done = total, unit, done
        self._pause, self._new = pause, 0
        self._begin = self._shown = time.monotonic()

    def step(self, text: str = '', new: bool = True) -> None:
        """Count an item.

        Args:
            text: added to the line.
            new: the item took its time; False for one of an earlier run.
        """
        self.done += 1
        self._new += new
        now = time.monotonic()
        if now - self._shown < self._pause and self.done < self.total:
            return
        self._shown = now
        line = f'{self.done:,}/{self.total:,} {self.unit}{text}'
        if self._new:
            seconds = (now - self._begin) / self._new
            rest = timedelta(seconds=round((self.total - self.done) * seconds))
            line += f', {seconds:.2f} s each, {rest} left'
        print(line, file=sys.stderr, flush=True)
