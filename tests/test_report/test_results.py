"""Results are read as they were written, or refused in one line."""

import json
import math
from pathlib import Path

import pytest

from star.report.results import load_results
from tests.test_report import made


def one(folder: Path, name: str = 'a') -> dict:
    scores = {'PSNR': 'inf', 'LPIPS': None, 'Ewarp': 2.5}
    shift = {'rows': 0.5, 'columns': -1.5, 'gain': 0.75}
    return made.results(name, [made.clip('set', 'c', scores, shift)])


def test_reads_what_was_written(tmp_path: Path):
    data = one(tmp_path)
    data['problems'] = ['DOVER: no weights']
    data['clips'][0]['files'] = {
        'lq': '/clips/lq.mp4',
        'pred': 'restored/set/c',
    }
    (run,) = load_results([str(made.write(tmp_path / 'run', data))])
    clip = run.clips['set', 'c']
    assert run.name == 'a'
    assert run.problems == ['DOVER: no weights']
    assert clip.scores == {'PSNR': math.inf, 'Ewarp': 2.5}
    assert run.scores('set', 'Ewarp') == {'c': 2.5}
    assert run.scores('set', 'LPIPS') == {}
    assert clip.frame_scores['PSNR'].values == [math.inf] * made.FRAMES
    assert clip.frame_scores['Ewarp'].frames == [0, 1, 2, 3]
    assert clip.files['lq'] == Path('/clips/lq.mp4')
    assert clip.files['pred'] == tmp_path / 'run' / 'restored/set/c'
    assert clip.shift is not None
    assert (clip.shift.rows, clip.shift.columns) == (0.5, -1.5)


def test_reading_costs_nothing(tmp_path: Path):
    """What reading saved clips took says nothing of the method."""
    data = one(tmp_path)
    (run,) = load_results([str(made.write(tmp_path, data))])
    assert run.cost('set') == (0.25, 3 * 2**29)
    assert run.cost('other') == (None, None)
    data['method']['type'] = 'SavedResults'
    (run,) = load_results([str(made.write(tmp_path, data))])
    assert run.cost('set') == (None, None)


def test_another_name_for_a_run(tmp_path: Path):
    first = made.write(tmp_path / 'x', one(tmp_path))
    second = made.write(tmp_path / 'y=z', one(tmp_path))
    runs = load_results([str(first), f'mine={first}', f'b={second}'])
    assert [run.name for run in runs] == ['a', 'mine', 'b']
    assert runs[2].folder == second
    (plain,) = load_results([str(second)])
    assert plain.folder == second


def test_two_runs_of_one_name(tmp_path: Path):
    folders = [made.write(tmp_path / n, one(tmp_path)) for n in 'xy']
    with pytest.raises(ValueError, match=r"both named 'a'; call one NAME="):
        load_results([str(folder) for folder in folders])


def test_no_results_there(tmp_path: Path):
    with pytest.raises(ValueError, match=r'has no results\.json'):
        load_results([str(tmp_path)])


@pytest.mark.parametrize(
    ('text', 'rule'),
    [
        ('{', 'cannot be read'),
        ('[]', "format must be 'star-results/1', got None"),
        ('{"format": "star-results/2"}', "got 'star-results/2'"),
        ('{"format": "star-results/1"}', 'no valid star-results/1: KeyErr'),
    ],
)
def test_other_files(tmp_path: Path, text: str, rule: str):
    (tmp_path / 'results.json').write_text(text)
    with pytest.raises(ValueError, match=rule) as error:
        load_results([str(tmp_path)])
    assert '\n' not in str(error.value)


def test_parts_that_do_not_match(tmp_path: Path):
    data = one(tmp_path)
    data['clips'][0]['parts']['Ewarp']['values'].pop()
    folder = made.write(tmp_path, json.loads(json.dumps(data)))
    with pytest.raises(ValueError, match='4 frames, 3 values'):
        load_results([str(folder)])
