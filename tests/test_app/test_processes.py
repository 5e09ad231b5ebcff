"""Logs that grow, and how a process has ended."""

import pytest

from star.app.judging import judge
from star.app.processes import Follower, read_answer


def test_a_log_is_read_line_by_line(tmp_path):
    path = tmp_path / 'log'
    follower = Follower(path)
    follower.update()  # there is none yet
    path.write_bytes(b'cat.mp4: loading\n{"stage": "decode", "share": 0.2')
    follower.update()
    assert follower.progress == {}
    with open(path, 'ab') as log:
        log.write(b'5}\nnote: one\n{"note": "two"}\nnote: one\nerror: bad\n{')
    follower.update()
    assert follower.progress['share'] == 0.25
    assert (follower.notes, follower.error) == (['one', 'two'], 'bad')


def test_only_an_object_is_an_answer(tmp_path):
    path = tmp_path / 'out'
    assert read_answer(path) == {}
    for text, answer in (('', {}), ('[1]', {}), ('{"a": 1}', {'a': 1})):
        path.write_text(text)
        assert read_answer(path) == answer


DONE = {'frames': 3}


@pytest.mark.parametrize(
    ('task', 'answer', 'error', 'code', 'reason'),
    [
        ('restore', DONE, '', 0, ''),
        ('restore', {'error': 'a\n b\n'}, '', 1, 'a; b'),
        ('restore', {}, 'no space', 2, 'no space'),
        ('restore', DONE, '', 3, 'the process ended with exit code 3'),
        ('restore', {}, '', -15, 'the process was ended by signal 15'),
        ('plan', DONE, '', 0, ''),
        ('plan', DONE, '', 1, ''),  # it does not fit: the plan says so
        ('plan', {}, 'wrong', 2, 'wrong'),
        ('preview', {'preview': 'a'}, '', 0, ''),
        (
            'preview',
            {'src': 'a'},
            '',
            0,
            'a picture needs no preview: it is restored as fast',
        ),
    ],
)
def test_judge(task, answer, error, code, reason):
    assert judge(task, answer, error, code) == reason


def test_a_kill_advises_to_take_less_memory():
    assert 'smaller tile' in judge('restore', {}, '', -9)
