"""Processes of jobs: started, followed through their files, adopted.

A process outlives a server that is killed: it writes to files, not to pipes,
and holds a lock that it inherits. The next server sees the lock, follows the
same files, and starts nothing meanwhile.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: a process ends with its server's console
    fcntl = None  # type: ignore[assignment]

PROGRAM = (sys.executable, '-m', 'star')
_MOST_NOTES = 20


@dataclass(frozen=True)
class ProcessFiles:
    """Files of a process.

    Args:
        lock: held while it lives.
        log: its standard error stream.
        out: its standard output.
    """

    lock: Path
    log: Path
    out: Path


def spawn(words: Sequence[str], files: ProcessFiles) -> subprocess.Popen:
    """Start `star` with some words.

    Args:
        words: after `star`.
        files: of the process; log and output begin anew.

    Raises:
        BlockingIOError: an earlier process still holds the lock.
    """
    with (
        open(files.lock, 'a+b') as lock,
        open(files.log, 'wb') as log,
        open(files.out, 'wb') as out,
    ):
        inherited: tuple[int, ...] = ()
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            inherited = (lock.fileno(),)
        return subprocess.Popen(
            [*PROGRAM, *words],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            pass_fds=inherited,
            start_new_session=True,  # Ctrl-C is for the server
        )


def run_module(module: str, *words: str, what: str) -> str:
    """Run a module in a process of its own, and return what it prints.

    The process leaves no memory behind.

    Args:
        module: dotted name.
        words: its arguments.
        what: that it makes, for the message.

    Raises:
        ValueError: the process has failed, with the last line of its errors.
    """
    done = subprocess.run(
        [sys.executable, '-m', module, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ['no reason'])[-1]
        raise ValueError(f'the {what} cannot be made: {reason}')
    return done.stdout


def is_alive(files: ProcessFiles) -> bool:
    """Return whether a process of this or an earlier server still lives."""
    if fcntl is None or not files.lock.exists():
        return False
    with open(files.lock, 'a+b') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def interrupt(pid: int) -> None:
    """Ask a process to keep what is done and to end.

    SIGTERM, because a server in the background of a script hands on that
    SIGINT is ignored.
    """
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)


@dataclass
class Follower:
    """Reads the log of a process as it grows.

    Args:
        path: of the log.
        progress: the newest event of `star restore --progress json`.
        notes: of the restoration, a sentence each.
        error: the last line that names an error.
    """

    path: Path
    progress: Mapping[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ''
    _offset: int = 0

    def update(self) -> None:
        """Read the lines that are complete since the last call."""
        with suppress(FileNotFoundError), open(self.path, 'rb') as log:
            log.seek(self._offset)
            whole, end, _ = log.read().rpartition(b'\n')
            self._offset += len(whole) + len(end)
            for line in whole.decode('utf-8', 'replace').splitlines():
                self._take(line.strip())

    def _take(self, line: str) -> None:
        if line.startswith('error: '):
            self.error = line.removeprefix('error: ')
        elif line.startswith('note: '):
            self._note(line.removeprefix('note: '))
        elif line.startswith('{'):
            with suppress(ValueError):
                found = json.loads(line)
                if 'note' in found:
                    self._note(str(found['note']))
                elif 'share' in found:
                    self.progress = found

    def _note(self, text: str) -> None:
        if text not in self.notes and len(self.notes) < _MOST_NOTES:
            self.notes.append(text)


def read_answer(path: Path) -> Mapping[str, Any]:
    """Return the JSON that a process has printed; empty if there is none."""
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding='utf-8'))
        if isinstance(found, Mapping):
            return found
    return {}
