"""Signals that end a process, as exceptions, so that it can clean up."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ('SIGTERM', 'SIGHUP')  # Windows has no SIGHUP


class Interrupted(KeyboardInterrupt):
    """Raised for a signal; Ctrl-C raises its base class.

    Args:
        signum: number of the signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Raise `Interrupted` in the body on SIGTERM and SIGHUP.

    A signal that is ignored, as under `nohup`, or that has a handler, stays
    as it is; so do all of them outside the main thread.
    """
    main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, n) for n in _NAMES if hasattr(signal, n)]
    taken: dict[int, Any] = {}
    try:
        for signum in numbers:
            if main and signal.getsignal(signum) is signal.SIG_DFL:
                taken[signum] = signal.signal(signum, _raise)
        yield
    finally:
        for signum, handler in taken.items():
            signal.signal(signum, handler)


@contextmanager
def ignore_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C in the body: the process is about to end anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _raise(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_DFL)  # a second one ends at once
    raise Interrupted(signum)
