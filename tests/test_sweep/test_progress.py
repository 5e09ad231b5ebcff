"""Progress of a sweep, and estimate of the time left."""

import io

from star.sweep.progress import SweepProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_counts_and_time():
    progress = SweepProgress(10, 2, 2, io.StringIO())
    assert progress.remaining() is None
    progress.begin()
    progress.begin()
    assert progress.line() == '2 of 10 runs done, 2 running'
    progress.end(100, failed=False)
    # 7 left, one of them half done, two at once
    assert progress.remaining() == 100 * 6.5 / 2
    progress.end(300, failed=True)
    assert progress.remaining() == 200 * 6 / 2
    expected = '3 of 10 runs done, 1 failed, about 0:10:00 left'
    assert progress.line() == expected
    progress.say('a: done')
    assert progress.stream.getvalue() == f'a: done ({expected})\n'


def test_fewer_runs_than_places():
    progress = SweepProgress(2, 1, 8, io.StringIO())
    progress.begin()
    progress.begin()
    progress.end(50, failed=False)
    progress.total = 3
    assert progress.remaining() == 50 * 0.5


def test_a_terminal_has_one_line_that_changes():
    now = [0.0]
    progress = SweepProgress(2, 0, 1, Terminal(), lambda: now[0])
    for now[0] in (1.0, 1.5, 2.0):
        progress.tick()
    line = '\r\x1b[K0 of 2 runs done'
    assert progress.stream.getvalue() == 2 * line
    progress.close()
    assert progress.stream.getvalue().endswith('done\n')
