"""The question after a preview, and the options of it."""

import argparse
import io
from pathlib import Path

import pytest

from star.apis.inference.preview import PreviewRequest
from star.apis.inference.restore import FileOptions
from star.cli.main import make_parser
from star.cli.preview import goes_on, preview
from star.models.restoration.options import RestoreOptions
from tests.test_apis.clips import Enlarger, write_clip


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ('typed', 'goes'),
    [
        ('y\n', True),
        ('Yes\n', True),
        ('n\n', False),
        ('\n', False),
        ('', False),
    ],
)
def test_a_person_is_asked(
    typed: str,
    goes: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr('sys.stdin', Keyboard(typed))
    assert goes_on(argparse.Namespace(yes=False)) is goes
    assert capsys.readouterr().err == 'go on? [y/N] '


def test_nobody_is_asked_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr('sys.stdin', io.StringIO('y\n'))
    assert not goes_on(argparse.Namespace(yes=False))
    assert '--yes goes on' in capsys.readouterr().err
    assert goes_on(argparse.Namespace(yes=True))
    assert capsys.readouterr().err == ''


def test_a_preview_says_where_it_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 20)
    request = PreviewRequest(src, tmp_path / 'out.mkv', 1, 0.1)
    made = preview(Enlarger(), request, RestoreOptions(), FileOptions())
    assert made.path.exists()
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f'{made.path}: {made.frames} frames in ')
    assert ' the whole will take about 0:00:0' in line


@pytest.mark.parametrize(
    ('text', 'value'),
    [('3x2s', (3, 2)), ('5x1', (5, 1)), ('2X1.5s', (2, 1.5))],
)
def test_places_are_read(text: str, value: tuple) -> None:
    parser = make_parser('restore')
    args = parser.parse(['a', 'b', '--preview', text])
    assert args.preview == value
    assert (args.yes, args.report, args.mark) == (False, False, True)


@pytest.mark.parametrize('text', ['3', 'x2s', '0x2s', '3x0s', '3x', '2x2x2'])
def test_wrong_places_are_refused(
    text: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        make_parser('restore').parse(['a', 'b', '--preview', text])
    assert f'as in 3x2s, got {text!r}' in capsys.readouterr().err
