"""SIGTERM and Ctrl-C as requests to save and end."""

import signal
import threading
from types import FrameType
from typing import Any

import torch
from mmengine import dist


class Interruption:
    """Notes that the process shall end; a second Ctrl-C ends it at once.

    The workers of a data loader get a terminal's Ctrl-C as well. Those that
    start after `watch` note it, too, and go on serving.
    """

    def __init__(self) -> None:
        self._signum = 0
        self._handlers: dict[int, Any] = {}  # those before `watch`

    def watch(self) -> None:
        """Note signals from now on, in the main thread.

        Ctrl-C stays without effect where it had none (`nohup`).
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in (signal.SIGTERM, signal.SIGINT):
            ignored = signal.getsignal(signum) is signal.SIG_IGN
            if signum not in self._handlers and not ignored:
                handler = signal.signal(signum, self._note)
                self._handlers[signum] = handler or signal.SIG_DFL

    def unwatch(self) -> None:
        """Restore the handlers that were there before."""
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)
        self._handlers = {}

    def agreed(self) -> int:
        """Return the signal that a rank has noted, the same on all, or 0."""
        signum = torch.tensor(float(self._signum))
        dist.all_reduce(signum, 'max')
        return int(signum)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == self._signum == signal.SIGINT:
            signal.default_int_handler(signum, frame)
        self._signum = signum


def signal_name(signum: int) -> str:
    """Return a signal's name for people."""
    return 'Ctrl-C' if signum == signal.SIGINT else signal.Signals(signum).name
