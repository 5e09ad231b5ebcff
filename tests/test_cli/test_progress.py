"""The time left, and the lines of progress."""

import io
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from star.cli.common import announce
from star.cli.progress import ItemProgress, ProgressBar
from star.cli.time_left import TimeLeft

Event = tuple[str, int, float]  # stage, frames done, seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass
class Work:
    """A simulated restoration; seconds are of a frame in a stage.

    Args:
        total: frames of the clip.
        size: frames of a segment.
        overlap: frames that segments share.
        start: frames that an earlier run has done.
        encode: seconds; None for a method that has only the stage 'decode'.
        denoise: seconds.
        decode: seconds.
        warm_up: seconds that the first segment takes longer.
        announced: whether the start is reported.
    """

    total: int = 400
    size: int = 32
    overlap: int = 0
    start: int = 0
    encode: float | None = 0.2
    denoise: float = 2.0
    decode: float = 0.7
    warm_up: float = 0.0
    announced: bool = True

    def events(self, now: float = 0.0) -> Iterator[Event]:
        """Yield the events, and 'end' with the last frame of a segment."""
        if self.announced:
            yield 'decode', self.start, now
        first = self.start
        now += self.warm_up
        while True:
            end = min(first + self.size, self.total)
            keep = end if end == self.total else end - self.overlap
            if self.encode is None:
                now += (end - first) * self.decode
            else:
                for i in range(first, end):
                    now += self.encode
                    yield 'encode', i + 1, now
                for step in range(1, 5):
                    now += (end - first) * self.denoise / 4
                    yield 'denoise', first + step * (end - first) // 4, now
                now += (keep - first) * self.decode
            yield 'decode', keep, now
            yield 'end', keep, now
            if end == self.total:
                return
            first = keep


def estimates(work: Work, begin: float = 0.0) -> list[list[float]]:
    """Return the errors of the estimates in each segment, over the truth."""
    time_left, errors = TimeLeft(begin), [[]]
    events = list(work.events(begin))
    last = events[-1][2]
    for stage, done, now in events:
        if stage == 'end':
            errors.append([])
            continue
        time_left.update(stage, done, now)
        left = time_left.left(work.total, now)
        if left is not None:
            # in the last tenth a fiftieth of the whole is near enough
            truth = max(last - now, (last - begin) / 10)
            errors[-1].append((left - (last - now)) / truth)
    return errors


@pytest.mark.parametrize('overlap', [0, 8, 16])
@pytest.mark.parametrize('warm_up', [0, 60])
@pytest.mark.parametrize(
    ('start', 'announced'), [(0, True), (96, True), (0, False)]
)
@pytest.mark.parametrize(
    'speeds', [(0.2, 2.0, 0.7), (1, 0.1, 5), (3, 3, 0.1), (None, 0, 0.5)]
)
def test_time_left_is_within_a_fifth_after_two_segments(
    overlap: int,
    warm_up: float,
    start: int,
    announced: bool,
    speeds: tuple[float | None, float, float],
) -> None:
    work = Work(
        400, 32, overlap, start, *speeds, warm_up=warm_up, announced=announced
    )
    errors = estimates(work, begin=17.0)
    if speeds[0] is None:  # nobody knows what the last segments share
        errors = errors[: -1 - overlap // 2]
    later = [error for part in errors[2:] for error in part]
    assert len(later) > 5
    assert max(map(abs, later)) < 0.2
    if not warm_up:
        second = errors[1]
        assert not second or max(map(abs, second)) < 0.2


def test_a_slower_machine_is_noticed() -> None:
    time_left = TimeLeft()
    time_left.update('decode', 0, 0.0)
    for i in range(1, 11):
        time_left.update('decode', 10 * i, 5.0 * i)
    assert time_left.left(300, 50.0) == pytest.approx(200 * 0.5)
    for i in range(1, 11):
        time_left.update('decode', 100 + 10 * i, 50.0 + 10 * i)
    assert time_left.left(300, 150.0) == pytest.approx(100 * 1.0)


def test_time_passes_within_a_segment() -> None:
    time_left = TimeLeft()
    for done, now in ((0, 100.0), (10, 110.0)):
        time_left.update('decode', done, now)
    assert time_left.pace() == 1
    assert time_left.left(30, 110.0) == 20
    assert time_left.left(30, 113.0) == 17
    assert time_left.left(30, 140.0) == 0


def test_counting_is_no_part_of_the_work() -> None:
    time_left = TimeLeft()
    time_left.update('read', 500, 300.0)
    assert time_left.left(1000, 300.0) is None
    for done, now in ((10, 310.0), (20, 320.0)):
        time_left.update('encode', done, now - 8)
        time_left.update('decode', done, now)
    time_left.update('encode', 21, 322.0)
    assert time_left.left(1000, 320.0) == pytest.approx(980)


def test_the_first_segment_has_a_rough_estimate() -> None:
    time_left = TimeLeft()
    time_left.update('encode', 10, 5.0)  # 0.5 s a frame
    assert time_left.roughly(20) is None
    time_left.update('denoise', 2, 9.0)  # 2 s a frame
    # decoding is not known yet: three times encoding
    assert time_left.roughly(20) == pytest.approx(10 * 0.5 + 18 * 2 + 20 * 1.5)
    assert time_left.left(20, 9.0) is None
    time_left.update('denoise', 10, 25.0)
    time_left.update('decode', 10, 26.0)  # 0.1 s a frame
    assert time_left.roughly(20) == pytest.approx(10 * (0.5 + 2 + 0.1))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr('star.cli.progress.time.monotonic', lambda: now[0])
    return now


def test_lines_where_there_is_no_terminal(clock: list[float]) -> None:
    stream = io.StringIO()
    bar = ProgressBar('in.mp4', stream)
    for now, stage, done, total in (
        (0, 'read', 0, 90),  # short work has no lines
        (0.9, 'read', 30, 90),
        (1, 'read', 50, 90),  # a second has passed
        (4, 'read', 100, 90),
        (9, 'decode', 0, 100),  # begins
        (19, 'decode', 10, 100),
        (29, 'decode', 20, 100),
        (39, 'decode', 30, 100),  # half a minute has passed
        (48, 'decode', 40, 100),
    ):
        clock[0] = now
        bar.progress(stage, done, total)
    assert stream.getvalue().splitlines() == [
        'in.mp4: 0%, read 50/90',
        'in.mp4: 0%, decode 0/100',
        'in.mp4: 30%, decode 30/100, 1.00 frames/s, 0:01:10 left',
    ]


def test_a_container_may_count_too_few_frames(clock: list[float]) -> None:
    stream = io.StringIO()
    bar = ProgressBar('in.mp4', stream, pause=0)
    bar.progress('read', 100, 90)
    bar.progress('read', 100, None)
    assert stream.getvalue() == 'in.mp4: 0%, read 100/?\n' * 2


def test_the_first_segment_is_shown_as_a_rough_estimate(
    clock: list[float],
) -> None:
    stream = io.StringIO()
    bar = ProgressBar('in.mp4', stream, pause=0)
    bar.progress('decode', 50, 100)  # an earlier run's
    clock[0] = 4
    bar.progress('encode', 60, 100)
    clock[0] = 10
    bar.progress('denoise', 60, 100)  # 10 s for ten frames, decoding 12
    assert stream.getvalue().splitlines()[1:] == [
        'in.mp4: 50%, encode 60/100',
        'in.mp4: 55%, denoise 60/100, roughly 0:01:40 left',
    ]


def test_lines_come_while_nothing_happens() -> None:
    stream = io.StringIO()
    with ProgressBar('in.mp4', stream, pause=0.1):
        time.sleep(0.7)
    assert stream.getvalue() == 'in.mp4: 0%, starting\n'


def test_a_terminal_has_one_line_which_is_wiped() -> None:
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


def test_the_first_line_comes_before_slow_imports(
    capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce('films/in.mp4')
    assert capsys.readouterr().err == ''  # torch is there already
    monkeypatch.delitem(sys.modules, 'torch')
    announce('films/in.mp4')
    announce('..')
    assert capsys.readouterr().err == (
        'in.mp4: loading the program\n..: loading the program\n'
    )
    code = 'import sys, star.cli.main; print("torch" in sys.modules)'
    found = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True
    )
    assert found.stdout == 'False\n'
