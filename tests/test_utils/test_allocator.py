"""How few pages a process takes anew once it keeps its memory."""

import ctypes
import os
import platform
import subprocess
import sys

import pytest

from star.utils.allocator import keep_memory
from tests.paths import ROOT

ROUNDS, MIB = 4, 40
# blocks above glibc's limit for maps, whose pages are all written
FAULTS = f"""
import resource, sys, threading
import star.cli.main, star.utils.allocator
if 'keep' in sys.argv:
    assert star.utils.allocator.keep_memory()
def work():
    for _ in range({ROUNDS}):
        a, b = (bytearray({MIB} << 20) for _ in range(2))
        del a, b
def in_thread():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
for run in (work, in_thread):
    run()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    run()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
glibc_only = pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='the C library is no glibc'
)


def count_faults(*words: str) -> list[int]:
    """Count the pages that the main and another thread take anew."""
    return run_code(FAULTS, *words)


def run_code(code: str, *words: str) -> list[int]:
    """Run code in an interpreter of its own; the numbers that it prints."""
    without = {k: v for k, v in os.environ.items() if 'MALLOC' not in k}
    done = subprocess.run(
        [sys.executable, '-c', code, *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=without,
    )
    assert done.returncode == 0, done.stderr
    return [int(word) for word in done.stdout.split()]


@glibc_only
def test_pages_are_taken_once():
    block = (MIB << 20) // os.sysconf('SC_PAGE_SIZE')
    for given_back, kept in zip(
        count_faults(), count_faults('keep'), strict=True
    ):
        assert kept < block / 100
        # a kernel with huge pages for all takes fewer, but as often
        assert given_back > 20 * max(kept, 1) and given_back > ROUNDS


@glibc_only
@pytest.mark.parametrize(
    'environment',
    [
        {'MALLOC_ARENA_MAX': '2'},
        {'GLIBC_TUNABLES': 'glibc.malloc.mmap_threshold=65536'},
        {'LD_PRELOAD': '/usr/lib/libjemalloc.so.2'},
    ],
)
def test_the_settings_of_the_user_stay(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: pytest.fail('called'))
    assert not keep_memory(environment)


def test_only_commands_change_the_allocator():
    """What imports the library keeps its own."""
    named = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / 'star').rglob('*.py')
        if 'keep_memory()' in path.read_text(encoding='utf-8')
    ]
    # the second in the process of a worker
    assert {*named} == {'star/cli/main.py', 'star/apis/cluster/host.py'}


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(platform, 'libc_ver', lambda: ('', ''))
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: pytest.fail('called'))
    assert not keep_memory({})


def test_older_glibc_maps_no_block(monkeypatch: pytest.MonkeyPatch):
    """It refuses the limit of 1 GiB, -3, so that maps, -4, are off."""
    calls = {}

    class Library:
        @staticmethod
        def mallopt(parameter: int, value: int) -> int:
            calls[parameter] = value
            return int(parameter != -3 or value <= 2**25)

    monkeypatch.setattr(platform, 'libc_ver', lambda: ('glibc', '2.31'))
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: Library)
    assert keep_memory({})
    assert calls[-4] == 0
    assert (calls[-1], calls[-8]) == (2**31 - 1, 1)


HOLES = """
import star.utils.allocator as allocator
from star.utils.memory_limit import memory_of_process
assert allocator.keep_memory()
def resident():
    return memory_of_process() >> 20
kept = []
for _ in range(100):
    large = [bytearray(b'x' * (2 << 20)) for _ in range(2)]
    kept.append(large.pop())
    del large
before = resident()
del kept[::2]
freed = resident()
allocator.give_memory_back()
print(before, freed, resident())
"""


@glibc_only
def test_what_lies_between_is_given_back():
    before, freed, after = run_code(HOLES)
    assert freed > before - 20  # MiB
    assert 70 < freed - after < 130
