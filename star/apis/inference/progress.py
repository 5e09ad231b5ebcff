"""Show how far a restoration is: one line on a terminal, else rare lines."""

import shutil
import sys
import time
from datetime import timedelta
from types import TracebackType
from typing import TextIO

_STAGES = ('encode', 'denoise', 'decode')
_BAR = 20  # characters
_DECODE_OVER_ENCODE = 3  # time, until it is known: 10.6 to 3.8 TFLOP a frame


class Estimate:
    """Guesses how long a restoration will take from its stages so far.

    Every frame passes through all stages; each is taken to go on at its own
    speed.
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
    """The progress callback of a restoration.

    Args:
        name: of the clip.
        stream: where to; None for the standard error stream.
        pause: seconds between two lines; None for 0.1 on a terminal, 30
            elsewhere.
    """

    def __init__(
        self,
        name: str,
        stream: TextIO | None = None,
        pause: float | None = None,
    ) -> None:
        self.name = name
        self.stream = sys.stderr if stream is None else stream
        self._live = self.stream.isatty()
        self._pause = (0.1 if self._live else 30) if pause is None else pause
        self._estimate = Estimate()
        self._begin = self._last = self._shown = time.monotonic()

    def __enter__(self) -> 'ProgressBar':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._write('\r\x1b[K')

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` frames have passed a stage."""
        now = time.monotonic()
        self._estimate.update(stage, done, now - self._last)
        self._last = now
        if now - self._shown < self._pause:
            return
        self._shown = now
        line = self._line(stage, done, total, now - self._begin)
        if self._live:
            columns = shutil.get_terminal_size().columns
            self._write(f'\r\x1b[K{line[: columns - 1]}')
        else:
            self._write(line + '\n')

    def _line(
        self, stage: str, done: int, total: int | None, elapsed: float
    ) -> str:
        left = self._estimate.left(total) if total else None
        line = f'{self.name}: {stage} {done}/{total or "?"}'
        if left is None or total is None:
            return line
        part = elapsed / (elapsed + left)
        full = round(part * _BAR)
        bar = '#' * full + '-' * (_BAR - full)
        rate = total / (elapsed + left)
        rest = timedelta(seconds=round(left))
        return f'{line} [{bar}] {part:.0%}, {rate:.2f} frames/s, {rest} left'

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
