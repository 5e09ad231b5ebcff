"""The progress of a restoration: a line on a terminal, else rare lines."""

import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TextIO

from tqdm import tqdm

from star.cli.time_left import TimeLeft
from star.utils.text import one_line

_EARLY = 1.0  # seconds until the first line; less work needs none
_TICK = 0.5  # seconds between two looks at the clock
_FORMAT = '{desc}: {percentage:.0f}%{postfix} |{bar:20}|'


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

    def __exit__(self, *error: object) -> None:
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
        self.say(f'note: {self.name}: {text}')

    def say(self, text: str) -> None:
        """Print a message at once, in one line, above the progress."""
        with self._lock, tqdm.external_write_mode(self.stream):
            print(one_line(text), file=self.stream, flush=True)

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
        share, left, pace = self._time_left.forecast(total, now)
        if left is None:
            return share, text
        rest = timedelta(seconds=round(left))
        if pace is None:
            return share, f'{text}, roughly {rest} left'
        return share, f'{text}, {1 / pace:.2f} frames/s, {rest} left'


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
