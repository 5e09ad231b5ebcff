"""Options of a job as command lines, which the real parser reads."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from star.app.choice import Choice, command_line, task_words
from star.cli.main import make_parser

SRC, DST = Path('/a b/in put.mp4'), Path("/c/it's.mp4")
FULL = Choice(
    config='i2vgen',
    weights='heavy',
    scale='2.5',
    window='16',
    tile='0',
    seed='7',
    color_fix='wavelet',
    fidelity='0.5',
    prompt="--a 'cat'; $(x)",
    codec='libx265',
    crf='20',
)


def test_the_parser_reads_what_was_chosen():
    words = shlex.split(command_line(SRC, DST, FULL))
    assert words[:2] == ['star', 'restore']
    args = make_parser('restore').parse(words[2:])
    assert (args.src, args.dst) == (SRC, str(DST))
    found = {name: getattr(args, name) for name in vars(FULL)}
    assert found == {
        **vars(FULL),
        'scale': 2.5,
        'window': 16,
        'tile': 0,
        'seed': 7,
        'fidelity': 0.5,
        'crf': 20,
    }


@pytest.mark.parametrize('task', ['restore', 'preview', 'plan'])
def test_tasks_are_commands(task: str):
    name, *words = task_words(task, SRC, DST, FULL)
    args = make_parser(name).parse(words)
    assert name == ('plan' if task == 'plan' else 'restore')
    assert args.json is True
    if task != 'plan':
        assert args.progress == 'json'
        assert args.preview == ((3, 1.0) if task == 'preview' else None)


def test_defaults_give_no_options():
    assert Choice().words() == []
    empty = Choice.from_json({'scale': ' ', 'prompt': '', 'other': 1})
    assert empty == Choice()
    assert replace(empty, tile='0').words() == ['--tile', '0']
