"""A lock on a folder that commands inherit from their sweep."""

import os
from pathlib import Path

from filelock import lock_descriptor


def try_lock(folder: Path) -> int | None:
    """Lock a folder against other sweeps, without waiting.

    A command that inherits the descriptor keeps the lock when its sweep is
    killed. `filelock.FileLock` would not do: nobody can inherit its
    descriptor, and its release unlocks all copies.

    Args:
        folder: created if need be.

    Returns:
        A descriptor that holds the lock until all its copies are closed;
        None if another process holds the lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / '.lock', os.O_RDWR | os.O_CREAT, 0o666)
    locked = False
    try:
        locked = lock_descriptor(descriptor, blocking=False)
    finally:
        if not locked:
            os.close(descriptor)
    return descriptor if locked else None
