"""The peak memory of whole processes, whatever a clip's length."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_apis.clips import write_clip

METHODS = 'tiny_swiftvr', 'tiny_seedvr2_3b', 'tiny_dove'
SHORT, LONG, RUNS = 48, 240, 2
MOST = 1.15
CASES = [
    ((32, 24), '--keep-memory'),
    ((32, 24), '--no-keep-memory'),
    ((64, 48), '--keep-memory'),
]


def peak(src: Path, dst: Path, method: str, *flags: str) -> int:
    """Restore in a process of its own; return its peak in bytes."""
    words = [str(src), str(dst), '--config', method, '--weights', 'random']
    command = [sys.executable, '-m', 'star', 'restore', *words, '--json']
    done = subprocess.run([*command, *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)['peak_memory']


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='the peak is not known')
@pytest.mark.parametrize(('size', 'flag'), CASES)
@pytest.mark.parametrize('method', METHODS)
def test_runs_of_short_and_long_clips_are_alike(
    tmp_path: Path, method: str, size: tuple[int, int], flag: str
) -> None:
    """Runs of one clip do not differ either: memory keeps no holes."""
    flags = [flag] if flag.startswith('--no') else []
    peaks = {}
    for count in (SHORT, LONG):
        src = write_clip(tmp_path / f'{count}.mkv', count, size)
        peaks[count] = [
            peak(src, tmp_path / f'{count}_{run}.mp4', method, *flags)
            for run in range(RUNS)
        ]
    values = [value for found in peaks.values() for value in found]
    assert max(peaks[LONG]) <= MOST * min(peaks[SHORT]), peaks
    assert max(values) <= MOST * min(values), peaks
