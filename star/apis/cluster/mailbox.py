"""`Mailbox`: messages of a worker to the driver while it works."""

import threading
from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """The messages of a worker since it was last heard.

    Args:
        lines: messages, in order.
        done: frames of its task that are done; None if nothing changed.
        total: frames of its task; None if unknown.
    """

    lines: tuple[str, ...] = ()
    done: int | None = None
    total: int | None = None


class Mailbox:
    """Keeps messages and progress until the driver asks for them.

    One thread works and writes, another one reads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._newest: tuple[int, int | None] | None = None
        self._stop = False

    def say(self, text: str) -> None:
        """Keep a message."""
        with self._lock:
            self._lines.append(text)

    def report(self, done: int, total: int | None) -> None:
        """Keep how many frames are done.

        Raises:
            KeyboardInterrupt: the driver wants the work to stop.
        """
        with self._lock:
            self._newest = done, total
        self.check()

    def check(self) -> None:
        """Raise KeyboardInterrupt if the driver wants the work to stop."""
        if self._stop:
            raise KeyboardInterrupt

    def ask_to_stop(self) -> None:
        """End the work where it next reports."""
        self._stop = True

    def take(self) -> Told:
        """Return what was written since the last call."""
        with self._lock:
            lines, self._lines = self._lines, []
            newest, self._newest = self._newest, None
        return Told(tuple(lines), *(newest or (None, None)))
