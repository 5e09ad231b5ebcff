"""Numbers, sizes and exit codes that all commands share."""

import argparse
import sys

import pytest

from star.cli.common import Parser, execute, number, sizes


@pytest.mark.parametrize(
    ('text', 'value'), [('1', 1), ('0.5', 0.5), ('1e-3', 0.001)]
)
def test_numbers(text: str, value: float):
    assert number(float, 0, 1, above=True)(text) == value


@pytest.mark.parametrize('text', ['0', '1.1', 'nan', 'inf', '-1', 'x', ''])
def test_numbers_out_of_range(text: str):
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        number(float, 0, 1, above=True)(text)
    rule = 'must be a number above 0 and at most 1'
    assert str(caught.value) == f'{rule}, got {text!r}'


def test_whole_numbers():
    assert number(int, 2)('2') == 2
    with pytest.raises(argparse.ArgumentTypeError, match='a whole number of'):
        number(int, 2)('2.5')


def test_sizes():
    assert sizes('HxW')('480x720') == (480, 720)
    assert sizes('TxHxW')('2x18x16') == (2, 18, 16)
    for text in ('480', '4x5x6', '0x5', 'x5', '4.0x5', '-4x5'):
        with pytest.raises(argparse.ArgumentTypeError, match='must be HxW'):
            sizes('HxW')(text)


def code_after(error: BaseException, **args: object) -> int:
    def run(_: argparse.Namespace) -> int:
        raise error

    return execute(run, argparse.Namespace(**args))


@pytest.mark.parametrize(
    ('error', 'code', 'line'),
    [
        (ValueError('`a` must be 1'), 2, 'error: `a` must be 1'),
        (ImportError('`x` is missing'), 2, 'error: `x` is missing'),
        (FileNotFoundError(2, 'None', 'a.mp4'), 2, "[Errno 2] None: 'a.mp4'"),
        (KeyboardInterrupt(), 130, 'interrupted'),
    ],
)
def test_errors_are_one_line(
    error: BaseException,
    code: int,
    line: str,
    capsys: pytest.CaptureFixture,
):
    assert code_after(error) == code
    out, err = capsys.readouterr()
    assert out == '' and line in err and err.count('\n') == 1


def test_what_an_interrupted_command_says(capsys: pytest.CaptureFixture):
    assert code_after(KeyboardInterrupt(), resumable=True) == 130
    assert 'the same command continues' in capsys.readouterr().err


def test_a_missing_package_says_how_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setitem(sys.modules, 'torch', None)

    def run(_: argparse.Namespace) -> int:
        import torch

        return int(torch.zeros(1))

    assert execute(run, argparse.Namespace()) == 2
    line = capsys.readouterr().err
    assert line.startswith('error: torch is missing: run `pip install')
    assert line.count('\n') == 1


def test_defects_keep_their_traceback():
    for error in (KeyError('a'), ModuleNotFoundError('m', name='star.none')):
        with pytest.raises(type(error)):
            code_after(error)


def test_a_list_is_collected_from_several_options():
    parser = Parser('star')
    parser.add_argument('--sets', nargs='+')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--frames', type=int)
    words = '--sets a b --frames 2 --sets c --seeds 1 --frames 3 --seeds 2 3'
    args = parser.parse(words.split())
    assert args.sets == ['a', 'b', 'c']
    assert args.seeds == [1, 2, 3]
    assert args.frames == 3
    assert parser.parse([]).seeds == [0]


def test_a_list_is_collected_around_positional_arguments():
    parser = Parser('star')
    parser.allow_intermixed()
    parser.add_argument('paths', nargs='+')
    parser.add_argument('--sets', nargs='+')
    args = parser.parse(['--sets', 'a', '--sets', 'b', '--', 'x', 'y'])
    assert (args.sets, args.paths) == (['a', 'b'], ['x', 'y'])
