"""Progress of a sweep, with and without a terminal."""

import io

from star.sweep.progress import SweepProgress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_without_a_terminal():
    stream = io.StringIO()
    progress = SweepProgress(4, 1, stream)
    progress.end('a: done', failed=False)
    progress.end('b: lost', failed=True)
    progress.tick()
    progress.close()
    first, second = stream.getvalue().splitlines()
    assert first.startswith('a: done (2 of 4 runs ended [')
    assert second.startswith('b: lost (3 of 4 runs ended, 1 failed [')


def test_time_left_is_that_of_this_start():
    """One run took ten seconds; of eleven ten were done before."""
    stream = io.StringIO()
    progress = SweepProgress(13, 0, stream)
    progress.skip(10)
    progress.bar.start_t -= 10
    progress.end('a: done', failed=False)
    assert '11 of 13 runs ended [00:10<00:20]' in stream.getvalue()


def test_a_terminal_has_lines_above_a_bar():
    stream = Terminal()
    progress = SweepProgress(2, 0, stream)
    progress.end('a: done', failed=False)
    progress.close()
    lines = stream.getvalue().splitlines()
    assert any(line.endswith('a: done') for line in lines)
    assert '1 of 2 runs ended' in lines[-1]
