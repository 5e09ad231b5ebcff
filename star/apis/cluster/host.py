"""`Host`: the process of one worker, with its tasks and its mailbox."""

import os
import socket
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import star
from star.apis.cluster.mailbox import Mailbox, Told
from star.utils.allocator import keep_memory

Worker = Callable[[Any], Any]  # of a task, whose value it returns


@dataclass(frozen=True)
class WorkerPlace:
    """A worker's folder, version and share of a machine.

    Args:
        folder: in which the driver works; relative paths begin there.
        version: of this package, at the driver.
        cpus: cores of the worker.
        keep: keep the memory of freed tensors.
    """

    folder: str
    version: str
    cpus: int = 1
    keep: bool = True


@dataclass(frozen=True)
class Answer:
    """The outcome of a task: a value or an error.

    Args:
        value: that the worker returned.
        error: why there is none; '' for no error.
        kind: name of the error's class; 'KeyboardInterrupt' if it stopped.
        trace: of the error.
    """

    value: Any = None
    error: str = ''
    kind: str = ''
    trace: str = ''


class Host:
    """Runs tasks one after the other, and is heard while it does.

    Args:
        place: of the worker.
    """

    def __init__(self, place: WorkerPlace) -> None:
        self._place = place
        self._box = Mailbox()
        self._worker: Worker | None = None
        if place.keep:
            keep_memory()

    def start(self, make: Callable[[Mailbox], Worker]) -> Answer:
        """Make the worker, with all that its tasks need.

        Args:
            make: makes it; messages go to the mailbox.

        Returns:
            The name of this machine.
        """
        if self._place.version != star.__version__:
            return Answer(
                error=f'{socket.gethostname()} has star {star.__version__}, '
                f'the driver {self._place.version}: install the same',
                kind='ValueError',
            )
        with suppress(OSError):  # absolute paths need no folder
            os.chdir(self._place.folder)

        def build() -> str:
            import cv2
            import torch

            torch.set_num_threads(self._place.cpus)
            cv2.setNumThreads(self._place.cpus)
            self._worker = make(self._box)
            return socket.gethostname()

        return _answer(build)

    def work(self, task: Any) -> Answer:
        """Do a task and return its value."""
        worker = self._worker
        assert worker is not None
        return _answer(lambda: worker(task))

    def hear(self) -> Told:
        """Return what the worker told since the last call."""
        return self._box.take()

    def stop(self) -> None:
        """End the task where it next reports; what it kept stays."""
        self._box.ask_to_stop()


def _answer(work: Callable[[], Any]) -> Answer:
    try:
        return Answer(work())
    except KeyboardInterrupt:
        return Answer(error='interrupted', kind='KeyboardInterrupt')
    except Exception as error:
        name = next(
            base.__name__
            for base in type(error).__mro__
            if base.__module__ == 'builtins'
        )
        text = ' '.join(str(error).split()) or type(error).__name__
        return Answer(None, text, name, traceback.format_exc())
