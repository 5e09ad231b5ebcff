"""`ProgressLines`: the progress of a restoration for programs, as JSON."""

import json
import sys
import threading
import time
from contextlib import suppress
from typing import TextIO

from star.cli.time_left import TimeLeft


class ProgressLines:
    """Prints the events of a restoration, a JSON object in each line.

    An event has `clip`, `stage`, `done`, `total` (null if unknown), `share`
    of the work and `seconds_left` (null if unknown); a note has `clip` and
    `note`. Nobody needs to read them: a stream that is closed is no error.

    Args:
        name: of the clip.
        stream: where to; None for the standard error stream.
        pause: least seconds between two events of one stage.

    Attributes:
        told: notes that were printed.
    """

    def __init__(
        self, name: str, stream: TextIO | None = None, pause: float = 0.5
    ) -> None:
        self.name = name
        self.told: list[str] = []
        self.stream = sys.stderr if stream is None else stream
        self._pause = pause
        self._time_left = TimeLeft(time.monotonic())
        self._stage, self._next = '', 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> 'ProgressLines':
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Print that `done` of `total` frames have passed a stage."""
        with self._lock:
            now = time.monotonic()
            self._time_left.update(stage, done, now)
            if stage == self._stage and now < self._next and done != total:
                return
            self._stage, self._next = stage, now + self._pause
            self._print(self._describe(stage, done, total, now))

    def note(self, text: str) -> None:
        """Print a note."""
        self.told.append(text)
        with self._lock:
            self._print({'note': text})

    def _describe(
        self, stage: str, done: int, total: int | None, now: float
    ) -> dict[str, str | float | None]:
        known = total is not None and total >= done  # a container may be wrong
        share, left = 0.0, None
        if known and total and stage != 'read':
            share, left, _ = self._time_left.forecast(total, now)
        return {
            'stage': stage,
            'done': done,
            'total': total if known else None,
            'share': round(share, 4),
            'seconds_left': None if left is None else round(left, 1),
        }

    def _print(self, found: dict[str, str | float | None]) -> None:
        with suppress(OSError, ValueError):
            line = json.dumps({'clip': self.name, **found})
            print(line, file=self.stream, flush=True)
