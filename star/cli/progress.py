"""The progress of a restoration: a line on a terminal, else rare lines."""

import sys
import time
from datetime import timedelta
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

_STAGES = ('encode', 'denoise', 'decode')
_DECODE_OVER_ENCODE = 3  # time, until it is known: 10.6 to 3.8 TFLOP a frame
_FORMAT = '{desc}: {percentage:.0f}%{postfix} |{bar:20}|'


class TimeLeft:
    """Estimates how long a restoration will take from its stages so far.

    Every frame passes through all stages, each at its own constant speed.
    """

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(_STAGES, 0.0)
        self.done = dict.fromkeys(_STAGES, 0)

    def update(self, stage: str, done: int, seconds: float) -> None:
        """Add the time since the last update.

        Args:
            stage: one of 'encode', 'denoise', 'decode'; others are ignored.
            done: frames that have passed this stage.
            seconds: spent in it since the last update.
        """
        if stage in self.seconds:
            self.seconds[stage] += seconds
            self.done[stage] = done

    def left(self, total: int) -> float | None:
        """Return the seconds left for `total` frames, None if unknown."""
        costs = {
            stage: self.seconds[stage] / self.done[stage]
            for stage in _STAGES
            if self.done[stage]
        }
        if 'denoise' not in costs or 'encode' not in costs:
            return None
        costs.setdefault('decode', costs['encode'] * _DECODE_OVER_ENCODE)
        return sum(
            cost * max(0, total - self.done[stage])
            for stage, cost in costs.items()
        )


class ProgressBar:
    """Shows the events of a restoration.

    Args:
        name: of the clip.
        stream: where to; None for the standard error stream.
        pause: seconds between two lines where the stream is no terminal.
    """

    def __init__(
        self, name: str, stream: TextIO | None = None, pause: float = 30
    ) -> None:
        self.name = name
        self.stream = sys.stderr if stream is None else stream
        self._pause = pause
        self._time_left = TimeLeft()
        self._begin = self._last = self._shown = time.monotonic()
        self._bar = tqdm(
            total=1.0,
            desc=name,
            file=self.stream,
            disable=not self.stream.isatty(),
            leave=False,
            miniters=0,
            bar_format=_FORMAT,
        )

    def __enter__(self) -> 'ProgressBar':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` frames have passed a stage."""
        now = time.monotonic()
        self._time_left.update(stage, done, now - self._last)
        self._last = now
        left = self._time_left.left(total) if total else None
        share, text = 0.0, f'{stage} {done}/{total or "?"}'
        if total and left is not None:
            whole = now - self._begin + left
            share = (now - self._begin) / whole
            rest = timedelta(seconds=round(left))
            text += f', {total / whole:.2f} frames/s, {rest} left'
        if not self._bar.disable:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(share - self._bar.n)
        elif now - self._shown >= self._pause:
            self._shown = now
            line = f'{self.name}: {share:.0%}, {text}'
            print(line, file=self.stream, flush=True)

    def note(self, text: str) -> None:
        """Ignore a note: it comes with the report as well."""


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
