import json
from pathlib import Path

import pytest

from star.apis.analysis.training_log import (
    find_curve,
    measure_time,
    read_log,
)


def write(path: Path, *lines: dict) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return path


def entry(iteration: int, loss: float, time: float = 1.0) -> dict:
    return {
        'loss': loss,
        'time': time,
        'data_time': time / 4,
        'iter': iteration,
        'step': iteration,
    }


def test_a_file(tmp_path: Path):
    lines = [entry(1, 3.0), entry(20, 2.0)]
    score = {'val/PSNR': 21.5, 'iter': 20, 'step': 20}
    log = read_log(write(tmp_path / 'a.json', *lines, score))
    assert find_curve(log, 'loss') == ([1, 20], [3.0, 2.0])
    assert find_curve(log, 'val/PSNR') == ([20], [21.5])


def test_a_resumed_run_counts_repeated_iterations_once(tmp_path: Path):
    first = [entry(i, i) for i in (1, 20, 40, 60)]
    write(tmp_path / '20260101_120000/vis_data/scalars.json', *first)
    later = [entry(i, -i) for i in (60, 80)]
    write(tmp_path / '20260102_080000/vis_data/scalars.json', *later)
    expected = ([1, 20, 40, 60, 80], [1, 20, 40, -60, -80])
    assert find_curve(read_log(tmp_path), 'loss') == expected


def test_half_a_line_at_the_end_is_left_out(tmp_path: Path):
    path = write(tmp_path / 'a.json', entry(1, 3.0))
    with open(path, 'a') as file:
        file.write('{"loss": 2.')
    assert len(read_log(path)) == 1


def test_the_time_of_an_iteration(tmp_path: Path):
    times = {1: 9.0, 20: 2.0, 40: 1.0, 60: 3.0}
    lines = [entry(i, 0, time) for i, time in times.items()]
    found = measure_time(lines)
    assert (found.lines, found.mean, found.waiting) == (3, 2.0, 0.5)
    assert found.deviation == pytest.approx((2 / 3) ** 0.5)
    assert (found.slowest, found.fastest) == ((60, 3.0), (40, 1.0))
    assert measure_time(lines, include_outliers=True).mean == 15 / 4
    with pytest.raises(ValueError, match='--include-outliers'):
        measure_time(lines[:1])


def test_errors_name_the_file_and_what_there_is(tmp_path: Path):
    with pytest.raises(ValueError, match='or the work folder of a training'):
        read_log(tmp_path)
    path = write(tmp_path / 'a.json', entry(1, 2.0), {'loss': 1.0})
    with pytest.raises(ValueError, match='line 2: must have numbers by name'):
        read_log(path)
    path.write_text('')
    with pytest.raises(ValueError, match='has no numbers yet'):
        read_log(path)
    with pytest.raises(ValueError, match="no 'los'; it has loss, time, data"):
        find_curve([entry(1, 2.0)], 'los')
