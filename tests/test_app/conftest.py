"""A store with jobs, and a program that stands for `star`."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from star.app import processes
from star.app.queue import JobQueue
from star.app.records import JobRecord, JobStore


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path / 'app')


@pytest.fixture
def add(store: JobStore) -> Callable[[str], JobRecord]:
    def make(name: str = 'a.mp4') -> JobRecord:
        path = store.uploads / 'sent'
        path.write_bytes(b'video')
        return store.add(path, name, '8 x 8')

    return make


@pytest.fixture
def queue(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> Iterator[JobQueue]:
    """Make a queue that is not started; the program is the fake one."""
    fake = str(Path(__file__).with_name('fake_star.py'))
    monkeypatch.setattr(processes, 'PROGRAM', (sys.executable, '-S', fake))
    made = JobQueue(store)
    yield made
    made.close()


def wait_for(check: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, 'nothing happened'
        time.sleep(0.02)
