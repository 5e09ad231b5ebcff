import io

import pytest

from star.apis.inference.progress import Estimate, ProgressBar


def test_time_left_is_what_the_stages_cost() -> None:
    estimate = Estimate()
    estimate.update('encode', 10, 5.0)  # 0.5 s a frame
    assert estimate.left(20) is None
    estimate.update('denoise', 2, 4.0)  # 2 s a frame
    # decoding is not known yet: three times encoding
    assert estimate.left(20) == pytest.approx(10 * 0.5 + 18 * 2 + 20 * 1.5)
    estimate.update('denoise', 10, 16.0)
    estimate.update('decode', 10, 1.0)  # 0.1 s a frame
    assert estimate.left(20) == pytest.approx(10 * (0.5 + 2 + 0.1))
    estimate.update('anything', 1, 100.0)
    assert estimate.left(10) == 0


def test_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with ProgressBar('in.mp4', stream, pause=0) as progress:
        progress('encode', 8, 8)
        progress('denoise', 4, 8)
    first, second = stream.getvalue().splitlines()
    assert first == 'in.mp4: encode 8/8'
    assert second.startswith('in.mp4: denoise 4/8 [')
    assert 'frames/s' in second and second.endswith(' left')


def test_lines_are_rare() -> None:
    stream = io.StringIO()
    with ProgressBar('in.mp4', stream) as progress:
        for done in range(100):
            progress('decode', done, 100)
    assert stream.getvalue() == ''


def test_terminal_line_is_wiped_at_the_end() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with ProgressBar('in.mp4', stream, pause=0) as progress:
        progress('encode', 1, 8)
    assert stream.getvalue() == '\r\x1b[Kin.mp4: encode 1/8\r\x1b[K'
