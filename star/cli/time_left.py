"""`TimeLeft`: how long a restoration will take, from its events so far."""

import math
from bisect import bisect_right
from typing import NamedTuple

_STAGES = ('encode', 'denoise', 'decode')
_DECODE_OVER_ENCODE = 3  # time, until it is known: 10.6 to 3.8 TFLOP a frame
_LEAST = 2.0  # seconds of work that an estimate rests on


class _End(NamedTuple):
    """The end of a segment."""

    frames: int  # that are done
    when: float  # seconds
    ahead: int = 0  # frames that the next segment encodes again


class Forecast(NamedTuple):
    """The course of a restoration.

    Args:
        share: of the work that is done, [0, 1].
        left: seconds; None if unknown.
        pace: seconds of a frame; None where `left` is a rough guess.
    """

    share: float
    left: float | None = None
    pace: float | None = None


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

    def forecast(self, total: int, now: float) -> Forecast:
        """Return the share that is done and the seconds left.

        Args:
            total: frames of the clip.
            now: seconds of the clock.
        """
        left, pace = self.left(total, now), self.pace()
        if left is not None and pace:
            return Forecast(max(0.0, 1 - left / pace / total), left, pace)
        start, left = self.start / total, self.roughly(total)
        if left is None:
            return Forecast(start)
        spent = self.spent(now)
        return Forecast(start + (1 - start) * spent / (spent + left), left)

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
