"""Files that are needed for a while, and their folder."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_FOLDER: ContextVar[str | None] = ContextVar('folder', default=None)


@contextmanager
def scratch_in(folder: str | os.PathLike) -> Iterator[None]:
    """Let `scratch_folder` be another one for a while.

    Args:
        folder: there is one of this name.
    """
    token = _FOLDER.set(os.fspath(folder))
    try:
        yield
    finally:
        _FOLDER.reset(token)


def scratch_folder() -> str:
    """Return where large files go that nobody keeps.

    The system's own folder for them is often a disk in memory, which is what
    such files are to save.
    """
    return _FOLDER.get() or tempfile.gettempdir()


class ScratchFile:
    """Tensors that wait in a file until they are needed again.

    It has no name and vanishes with the process, whatever ends it.

    Args:
        folder: of the file; None for `scratch_folder`.
    """

    def __init__(self, folder: str | os.PathLike | None = None) -> None:
        where = os.fspath(folder or scratch_folder())
        self._file = tempfile.TemporaryFile(  # noqa: SIM115
            dir=where, buffering=0
        )
        self._end = 0

    def reserve(self, count: int) -> int:
        """Set bytes aside; return where they begin."""
        place, self._end = self._end, self._end + count
        return place

    def write(self, place: int, x: Tensor) -> None:
        """Write a tensor of any type and device.

        Raises:
            OSError: the disk is full.
        """
        data = _bytes_of(x.cpu().contiguous())
        self._file.seek(place)
        while data:
            data = data[self._file.write(data) :]

    def read(self, place: int, out: Tensor) -> None:
        """Fill a contiguous tensor on the CPU.

        Raises:
            EOFError: less has been written there.
        """
        data = _bytes_of(out)
        self._file.seek(place)
        while data:
            count = self._file.readinto(data)
            if not count:
                raise EOFError('a scratch file ends too early')
            data = data[count:]

    def clear(self) -> None:
        """Forget everything."""
        self._end = 0
        self._file.truncate(0)

    def close(self) -> None:
        """Free the file."""
        self._file.close()


def _bytes_of(x: Tensor) -> memoryview:
    return x.view(-1).view(torch.uint8).numpy().data
