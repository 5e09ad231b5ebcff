"""A lock on a folder that ends with the last process that holds it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = '.lock'


def try_lock(folder: Path) -> int | None:
    """Lock a folder, made if need be, against other sweeps.

    A command that is started with the descriptor keeps the lock after its
    sweep was killed: a restarted one does not run beside it.

    Args:
        folder: to be locked.

    Returns:
        A descriptor, the lock until all its copies are closed; None where
        somebody else has it.

    Raises:
        ValueError: the system has no such locks.
    """
    return _lock(folder, wait=False)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder for a while, waiting for it if need be."""
    descriptor = _lock(folder, wait=True)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path, wait: bool) -> int | None:
    try:
        import fcntl
    except ModuleNotFoundError as error:
        raise ValueError('sweeps need a POSIX system: no fcntl') from error
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        flags = fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)
        fcntl.flock(descriptor, flags)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
