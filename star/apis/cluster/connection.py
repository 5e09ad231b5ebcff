"""A connection to a Ray cluster, or a cluster of this machine alone."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from types import ModuleType
from typing import Any, TextIO

from star.utils.compat import require

LOCAL, AUTO = 'local', 'auto'
_CLIENT = 'ray://'
_QUIET = {'RAY_USAGE_STATS_ENABLED': '0', 'RAY_DEDUP_LOGS': '0'}
_REACH, _JOIN = 5.0, 30.0  # seconds
_STORE = 100 * 2**20  # bytes of shared memory; only tasks pass through it
_JOINS = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
ray.shutdown()
"""


@contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """Connect to a cluster in the body, and yield the module `ray`.

    Args:
        address: 'local' starts a cluster on this machine, which ends with the
            body; 'auto' takes the one that runs here; others are HOST:PORT,
            or ray://HOST:PORT for Ray's client.

    Raises:
        ImportError: Ray is not installed.
        ValueError: there is no cluster, or it does not answer.
    """
    quiet: Any = _WithoutRay(sys.stdout)
    with _environment(), redirect_stdout(quiet):
        if address not in (LOCAL, AUTO):
            _reach(address)
        ray = require('ray', 'ray')
        logging.getLogger('ray').setLevel(logging.CRITICAL)
        if address != LOCAL:
            _check(address)
        before = signal.getsignal(signal.SIGTERM)
        try:
            _join(ray, address)
            # Ray's own handler would end the process at once
            if before is not None and _is_main():
                signal.signal(signal.SIGTERM, before)
            yield ray
        finally:
            ray.shutdown()


class _WithoutRay:
    """The standard output without what Ray's own threads print there.

    Args:
        stream: the output.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or leave it out."""
        if threading.current_thread().name.startswith('ray_'):
            return len(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _environment() -> Iterator[None]:
    """Turn off Ray's statistics in the body; leave the user's environment."""
    before = {name: os.environ.get(name) for name in _QUIET}
    os.environ.update(_QUIET)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _reach(address: str) -> None:
    """Open a connection to the cluster's port, and close it.

    Raises:
        ValueError: the address is wrong, or nothing answers.
    """
    host, _, port = address.removeprefix(_CLIENT).rpartition(':')
    if not host or not port.isdecimal():
        raise ValueError(
            f'--ray must be {LOCAL}, {AUTO} or HOST:PORT, got {address!r}'
        )
    try:
        socket.create_connection((host, int(port)), _REACH).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise ValueError(f'no Ray cluster at {address}: {reason}') from error


def _check(address: str) -> None:
    """Connect in another process: Ray itself would try for ever.

    Raises:
        ValueError: there is no cluster, or it does not answer.
    """
    words = [sys.executable, '-c', _JOINS, address]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=_JOIN
        )
    except subprocess.TimeoutExpired:
        reason = f'what is there does not answer as one within {_JOIN:.0f} s'
        raise ValueError(f'no Ray cluster at {address}: {reason}') from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ['no reason'])[-1]
        raise ValueError(f'no Ray cluster at {address}: {last}')


def _usable_cores() -> int | None:
    """Return how many cores this process may use; None for Ray's own count."""
    if not hasattr(os, 'sched_getaffinity'):
        return None
    cores = len(os.sched_getaffinity(0))
    return cores if cores < (os.cpu_count() or 1) else None


def _join(ray: ModuleType, address: str) -> None:
    if address == LOCAL:
        ray.init(
            address=LOCAL,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            object_store_memory=_STORE,
            num_cpus=_usable_cores(),
        )
        return
    ray.init(address=address, log_to_driver=False, configure_logging=False)
