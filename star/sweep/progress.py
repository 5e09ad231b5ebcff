"""How far a sweep is: a line for each event, and one that stays at the end."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TextIO

_CLEAR = '\r\x1b[K'


@dataclass
class SweepProgress:
    """Counts runs and says how long the rest will take.

    Args:
        total: runs of the sweep.
        done: of them, those that were done before.
        places: runs that can go on at once.
        stream: where to write.
        clock: seconds, in one's own time.
    """

    total: int
    done: int
    places: int
    stream: TextIO
    clock: Callable[[], float] = time.monotonic
    failed: int = 0
    running: int = 0
    _spent: list[float] = field(default_factory=list)
    _shown: float = 0.0

    def begin(self) -> None:
        """Note that a run begins."""
        self.running += 1

    def end(self, seconds: float, failed: bool) -> None:
        """Note that a run ended.

        Args:
            seconds: that it took.
            failed: whether it did not succeed.
        """
        self.running -= 1
        self.failed += failed
        self.done += not failed
        self._spent.append(seconds)

    def remaining(self) -> float | None:
        """Estimate the seconds to the end; None before the first run's end.

        As many places are busy as there are runs to fill them; runs are taken
        to last as long as those of this session, and to be half done.
        """
        if not self._spent:
            return None
        left = self.total - self.done - self.failed
        mean = sum(self._spent) / len(self._spent)
        return mean * (left - self.running / 2) / min(self.places, left or 1)

    def line(self) -> str:
        """Describe the whole sweep."""
        parts = [f'{self.done} of {self.total} runs done']
        parts += [f'{self.failed} failed'] if self.failed else []
        parts += [f'{self.running} running'] if self.running else []
        seconds = self.remaining()
        if seconds is not None and seconds > 0:
            parts.append(f'about {timedelta(seconds=round(seconds))} left')
        return ', '.join(parts)

    def say(self, text: str) -> None:
        """Write what happened, and how far the sweep is."""
        if self.stream.isatty():
            self.stream.write(f'{_CLEAR}{text}\n{self.line()}')
        else:
            self.stream.write(f'{text} ({self.line()})\n')
        self.stream.flush()

    def tick(self) -> None:
        """Renew the last line of a terminal, once a second."""
        if self.stream.isatty() and self.clock() - self._shown >= 1:
            self._shown = self.clock()
            self.stream.write(f'{_CLEAR}{self.line()}')
            self.stream.flush()

    def close(self) -> None:
        """Leave the last line."""
        if self.stream.isatty():
            self.stream.write('\n')
            self.stream.flush()
