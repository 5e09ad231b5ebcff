"""A lock lives as long as any process that inherited it."""

import os
import subprocess
import sys

from filelock import FileLock

from star.sweep.locking import try_lock


def test_one_at_a_time(tmp_path):
    first = try_lock(tmp_path / 'new')
    assert first is not None
    assert try_lock(tmp_path / 'new') is None
    other = try_lock(tmp_path / 'other')
    assert other is not None
    for descriptor in (first, other):
        os.close(descriptor)
    with FileLock(tmp_path / 'new' / '.lock'):
        assert try_lock(tmp_path / 'new') is None
    again = try_lock(tmp_path / 'new')
    assert again is not None
    os.close(again)


def test_a_command_keeps_the_lock_of_its_sweep(tmp_path):
    lock = try_lock(tmp_path)
    words = [sys.executable, '-c', 'input()']
    child = subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=[lock])
    os.close(lock)
    assert try_lock(tmp_path) is None
    child.communicate(b'\n')
    lock = try_lock(tmp_path)
    assert lock is not None
    os.close(lock)
