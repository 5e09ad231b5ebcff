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
        if not before['moved'] and not after['moved']:
            assert after['kept'] >= before['kept']
    assert max(run['kept'] for run in runs) >= 2
    assert not [each for each in os.listdir(folder) if each[0] == '.']


METHODS = [
    ('bicubic', 'frames'),
    ('recurrent', 'out.mp4'),
    ('diffusion', 'out.mkv'),
]


@pytest.mark.parametrize(('method', 'name'), [METHODS[0], METHODS[2]])
def test_same_bytes_after_kills(
    tmp_path: Path, method: str, name: str
) -> None:
    check(method, tmp_path, name, 10 if method == 'bicubic' else 5)


@pytest.mark.slow
@pytest.mark.parametrize(('method', 'name'), METHODS)
def test_same_bytes_after_twenty_kills(
    tmp_path: Path, method: str, name: str
) -> None:
    check(method, tmp_path, name, 20)
