"""`star restore --progress json`: the lines for programs."""

import io
import json

from star.cli import progress_lines
from star.cli.progress_lines import ProgressLines


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def lines_of(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_share_and_time_left_are_those_of_the_clock(monkeypatch):
    clock, stream = Clock(), io.StringIO()
    monkeypatch.setattr(progress_lines, 'time', clock)
    with ProgressLines('a.mp4', stream) as lines:
        lines.progress('decode', 0, 40)
        for done in (10, 20):  # 10 seconds for 10 frames
            clock.now += 10
            lines.progress('decode', done, 40)
    assert lines_of(stream)[-1] == {
        'clip': 'a.mp4',
        'stage': 'decode',
        'done': 20,
        'total': 40,
        'share': 0.5,
        'seconds_left': 20.0,
    }


def test_events_of_one_stage_keep_a_pause(monkeypatch):
    clock, stream = Clock(), io.StringIO()
    monkeypatch.setattr(progress_lines, 'time', clock)
    lines = ProgressLines('a.mp4', stream, pause=1)
    for number in range(21):
        clock.now += 0.125
        lines.progress('decode', number, 20)
    lines.progress('write', 0, 20)
    found = [(line['stage'], line['done']) for line in lines_of(stream)]
    assert found == [
        ('decode', 0),
        ('decode', 8),
        ('decode', 16),
        ('decode', 20),
        ('write', 0),
    ]


def test_an_unknown_length_has_no_share():
    stream = io.StringIO()
    lines = ProgressLines('a.mp4', stream)
    lines.progress('read', 7, None)
    lines.progress('decode', 8, 5)  # the container was wrong
    found = [
        (e['total'], e['share'], e['seconds_left']) for e in lines_of(stream)
    ]
    assert found == [(None, 0.0, None)] * 2


def test_notes_are_told_once():
    stream = io.StringIO()
    lines = ProgressLines('a\nb.mp4', stream)
    lines.note('sound was "copied"\n')
    assert lines_of(stream) == [
        {'clip': 'a\nb.mp4', 'note': 'sound was "copied"\n'}
    ]
    assert lines.told == ['sound was "copied"\n']


def test_a_closed_stream_does_not_end_the_work():
    stream = io.StringIO()
    lines = ProgressLines('a.mp4', stream)
    stream.close()
    lines.progress('decode', 1, 2)
    lines.note('nobody reads this')
    assert lines.told == ['nobody reads this']
