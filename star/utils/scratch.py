"""The folder of files that are needed for a while."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

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
