"""Finding a subcommand, and how little that takes."""

import subprocess
import sys

import pytest

from star import __main__, __version__
from star.cli.main import COMMANDS, make_parser
from star.utils import allocator
from tests.paths import ROOT
from tests.test_cli.conftest import Star

HEAVY = ('av', 'cv2', 'mmengine', 'numpy', 'torch')
MEASURE = f"""
import sys, time
from star.cli.main import COMMANDS, main, make_parser
for words in (['--help'], *(name.split() + ['--help'] for name in COMMANDS)):
    try:
        main(words)
    except SystemExit as end:
        assert end.code == 0, words
found = [name for name in {HEAVY} if name in sys.modules]
print(found, time.process_time(), file=sys.stderr)
"""


def test_help_is_fast_and_imports_nothing_heavy():
    """All helps in one process, in less time than one may take."""
    done = subprocess.run(
        [sys.executable, '-c', MEASURE],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    found, seconds = done.stderr.rsplit(maxsplit=1)
    assert found == '[]'
    assert float(seconds) < 0.5
    assert all(f'usage: star {name} ' in done.stdout for name in COMMANDS)


def test_help_lists_the_commands(star: Star):
    listed = star('--help')
    assert listed.code == 0
    for name in COMMANDS:
        first = (make_parser(name).description or '').splitlines()[0]
        assert f'{name} ' in listed.out and first in listed.out
        assert len(first) <= 60 and first.endswith('.')


def test_help_of_a_group(star: Star):
    listed = star('convert', '--help')
    assert listed.code == 0 and 'convert lpips' in listed.out
    assert 'prepare' not in listed.out


def test_what_a_conversion_makes_may_follow_an_option(star: Star):
    by_option = star('convert', '--to', 'onnx', '--help')
    assert by_option.code == 0
    assert by_option.out == star('convert', 'onnx', '--help').out
    unknown = star('convert', '--to', 'x')
    assert unknown.code == 2 and 'convert x' in unknown.err


def test_version(star: Star):
    assert star('--version').out == f'star {__version__}\n'


@pytest.mark.parametrize(
    ('words', 'given', 'one'),
    [
        ([], 'no command', 'doctor'),
        (['restroe'], 'restroe', 'restore'),
        (['convert'], 'convert', 'convert lpips'),
        (['convert', 'x', 'y'], 'convert x y', 'convert lpips'),
        (['--loud', 'restore'], '--loud restore', 'restore'),
    ],
)
def test_no_such_command(star: Star, words: list[str], given: str, one: str):
    line = star(*words).error
    assert given in line and one in line


@pytest.mark.parametrize('name', COMMANDS)
def test_wrong_options_are_one_line(star: Star, name: str):
    assert 'error' not in star(*name.split(), '--nonsense').error


def test_runs_as_a_module():
    command = [sys.executable, '-m', 'star', 'restore', 'none.mp4', 'x.mp4']
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == 'error: none.mp4: no such file or folder\n'


class Interrupting:
    """An importer at which Ctrl-C comes."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == 'star.cli.main':
            raise KeyboardInterrupt


def test_ctrl_c_while_the_command_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delitem(sys.modules, 'star.cli.main')
    monkeypatch.setattr(sys, 'meta_path', [Interrupting(), *sys.meta_path])
    assert __main__.main() == 130
    assert capsys.readouterr().err == 'interrupted\n'


@pytest.mark.parametrize(
    ('option', 'kept'), [([], 1), (['--no-keep-memory'], 0)]
)
def test_commands_that_compute_keep_memory(
    star: Star,
    option: list[str],
    kept: int,
    monkeypatch: pytest.MonkeyPatch,
):
    calls = []
    monkeypatch.setattr(allocator, 'keep_memory', lambda: calls.append(1))
    assert (
        'no_such.mp4' in star('restore', 'no_such.mp4', 'x.mp4', *option).error
    )
    assert len(calls) == kept
    star('benchmark', 'no_such_run', '--out', 'no_such_folder')
    assert len(calls) == kept
