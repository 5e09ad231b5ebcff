"""The time left, and the lines of progress."""

import io

import pytest

from star.cli.progress import ItemProgress, ProgressBar, TimeLeft


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_time_left_is_what_the_stages_cost():
    time_left = TimeLeft()
    time_left.update('encode', 10, 5.0)  # 0.5 s a frame
    assert time_left.left(20) is None
    time_left.update('denoise', 2, 4.0)  # 2 s a frame
    # decoding is not known yet: three times encoding
    assert time_left.left(20) == pytest.approx(10 * 0.5 + 18 * 2 + 20 * 1.5)
    time_left.update('denoise', 10, 16.0)
    time_left.update('decode', 10, 1.0)  # 0.1 s a frame
    assert time_left.left(20) == pytest.approx(10 * (0.5 + 2 + 0.1))
    time_left.update('anything', 1, 100.0)
    assert time_left.left(10) == 0


def test_lines_where_there_is_no_terminal():
    stream = io.StringIO()
    with ProgressBar('in.mp4', stream, pause=0) as bar:
        bar.progress('encode', 8, 8)
        bar.progress('denoise', 4, 8)
    first, second = stream.getvalue().splitlines()
    assert first == 'in.mp4: 0%, encode 8/8'
    assert second.startswith('in.mp4: ') and '%, denoise 4/8, ' in second
    assert 'frames/s' in second and second.endswith(' left')


def test_lines_are_rare():
    stream = io.StringIO()
    with ProgressBar('in.mp4', stream) as bar:
        for done in range(100):
            bar.progress('decode', done, 100)
    assert stream.getvalue() == ''


def test_a_terminal_has_one_line_which_is_wiped():
    stream = Terminal()
    with ProgressBar('in.mp4', stream) as bar:
        bar.progress('encode', 8, 8)
        bar._bar.refresh()
        bar.progress('denoise', 4, None)
    shown = stream.getvalue()
    assert 'in.mp4: 0%, encode 8/8' in shown
    assert '\n' not in shown
    assert shown.rpartition('\r')[2].strip() == ''


def test_items(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch):
    now = iter([0.0, 2.0, 4.0, 10.0])
    monkeypatch.setattr('star.cli.progress.time.monotonic', lambda: next(now))
    progress = ItemProgress(6, 'items', done=3)
    for _ in range(3):
        progress.step(', 1 rejected')
    (line,) = capsys.readouterr().err.splitlines()
    assert line == '6/6 items, 1 rejected, 3.33 s each, 0:00:00 left'


def test_items_of_an_earlier_run_take_no_time(capsys: pytest.CaptureFixture):
    progress = ItemProgress(2, 'clips', pause=0)
    progress.step(': a, there already', new=False)
    progress.step(': b')
    first, second = capsys.readouterr().err.splitlines()
    assert first == '1/2 clips: a, there already'
    assert second.startswith('2/2 clips: b, 0.')
