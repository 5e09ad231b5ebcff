"""Tests of what comes before the long work of `star restore`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from star.cli import restore, restore_clip, restore_start
from tests.paths import ROOT
from tests.test_apis.clips import write_clip
from tests.test_cli.conftest import Star

SCRIPT = """
import sys
from star.cli.main import main
code = main(['restore', *sys.argv[1:]])
print(code, 'torch' in sys.modules)
"""


def test_wrong_paths_are_named_before_slow_imports(tmp_path: Path) -> None:
    words = [tmp_path / 'no.mp4', tmp_path / 'out.mp4']
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT, *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout == '2 False\n', done.stderr
    assert done.stderr == f'error: {words[0]}: no such file or folder\n'


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ('place', 'name', 'count'),
    [
        (restore_start, 'plan_jobs', 0),
        (restore_start, 'import_module', 2),
        (restore, 'init_model', 2),
    ],
)
def test_json_is_whole_if_nothing_has_begun(
    star: Star,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    count: int,
) -> None:
    (tmp_path / 'in').mkdir()
    for letter in 'ab':
        write_clip(tmp_path / 'in' / f'{letter}.mkv', 1)
    monkeypatch.setattr(place, name, interrupt)
    result = star('restore', tmp_path / 'in', tmp_path / 'out', '--json')
    assert result.code == 130
    errors = [each['error'] for each in json.loads(result.out)]
    assert len(errors) == count and all('interrupted' in e for e in errors)
    told = '0 of 2 clips restored; the same command goes on' in result.err
    assert told == bool(count)


def test_a_page_that_fails_does_not_end_the_batch(
    star: Star, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'in').mkdir()
    for letter in 'ab':
        write_clip(tmp_path / 'in' / f'{letter}.mkv', 1)

    def fail(*_: object) -> None:
        raise RuntimeError('no ink')

    monkeypatch.setattr(restore_clip, 'write_page', fail)
    words = ('--config', 'bicubic', '--report', '--json')
    result = star('restore', tmp_path / 'in', tmp_path / 'out', *words)
    assert result.code == 1
    assert ['no ink' in r['error'] for r in json.loads(result.out)] == [1, 1]
    assert len(list((tmp_path / 'out').glob('*.mkv'))) == 2


def test_a_list_of_cuts_is_for_one_clip(star: Star, tmp_path: Path) -> None:
    src = tmp_path / 'in'
    src.mkdir()
    write_clip(src / 'a.mkv', 2)
    write_clip(src / 'b.mkv', 2)
    (tmp_path / 'cuts.txt').write_text('1\n')
    cuts = tmp_path / 'cuts.txt'
    result = star('restore', src, f'{tmp_path}/out/', '--cuts', cuts)
    assert result.code == 2
    assert result.error.startswith(f'--cuts {cuts} is for one clip')
