"""`star restore`, killed at any moment, goes on and gives the same bytes."""

import os
import signal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.killed_restores import run_killed
from tests.test_apis.clips import write_clip

KILLED = -signal.SIGKILL


def check(method: str, tmp_path: Path, name: str, kills: int) -> None:
    src = write_clip(tmp_path / 'in.mkv', 12, (8, 8))
    folder = tmp_path / 'out'
    folder.mkdir()
    runs = run_killed(method, src, folder / name, kills, seed=len(method))
    assert {run['code'] for run in runs} == {0, KILLED}
    assert sum(run['code'] == KILLED for run in runs) == kills
    whole = {run['sha256'] for run in runs if run['code'] == 0}
    assert runs[0]['code'] == 0 and len(whole) == 1
    for before, after in pairwise(runs[1:]):
        if before['code'] == after['code'] == KILLED:
            # a journal is removed once the result is complete
            removed = before['kept'] == 12
            assert after['kept'] >= before['kept'] or removed
    assert max(run['kept'] for run in runs) >= 8
    assert not [each for each in os.listdir(folder) if each[0] == '.']


@pytest.mark.parametrize(
    ('method', 'name'),
    [
        ('recurrent', 'out.mp4'),
        ('diffusion', 'out.mkv'),
        ('bicubic', 'frames'),
    ],
)
def test_same_bytes_after_twenty_kills(
    tmp_path: Path, method: str, name: str
) -> None:
    check(method, tmp_path, name, 20)
