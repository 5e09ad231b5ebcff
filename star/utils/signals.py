"""Signals that end a process, as exceptions, so that it can clean up."""

import signal
import threading
from collections.abc import Callable, Iterator
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


@contextmanager
def hold_ctrl_c() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back in the body, which asks for it where it may come.

    Raised in the middle of a pool's own code, it can leave a lock behind that
    the pool waits for.

    Yields:
        A function that raises KeyboardInterrupt if Ctrl-C has come.
    """
    held: list[int] = []

    def check() -> None:
        if held:
            raise KeyboardInterrupt

    known = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    main = threading.current_thread() is threading.main_thread()
    if not (known and main):  # it is ignored, or somebody else's
        yield check
        return
    signal.signal(signal.SIGINT, lambda number, frame: held.append(number))
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _raise(signum: int, frame: FrameType | None) -> None:
    signal.signal(signum, signal.SIG_DFL)  # a second one ends at once
    raise Interrupted(signum)
