"""Means over shared clips, ranks, and refusal of unequal results."""

from pathlib import Path

import pytest

from star.report.comparison import Comparison, compare
from star.report.results import MethodResults, load_results
from tests.test_report import made

Scores = dict[str, dict[str, float | None]]  # by clip, by metric


def load(folder: Path, **methods: Scores) -> list[MethodResults]:
    """Write and read runs of one set."""
    sources = []
    for name, scores in methods.items():
        clips = [made.clip('set', clip, s) for clip, s in scores.items()]
        data = made.results(name, clips)
        sources.append(str(made.write(folder / name, data)))
    return load_results(sources)


def psnr(**scores: float | None) -> Scores:
    return {clip: {'PSNR': score} for clip, score in scores.items()}


def means(comparison: Comparison, metric: str) -> dict[str, float]:
    cells = comparison.sets[0].cells
    return {m: c.mean.value for (m, k), c in cells.items() if k == metric}


def test_means_are_over_the_clips_that_all_have(tmp_path: Path):
    runs = load(
        tmp_path,
        a=psnr(x=20, y=30, z=40),
        b=psnr(x=22, y=28, w=10),
        c=psnr(y=29, x=21, z=None),
    )
    found = compare(runs)
    assert found.sets[0].shared == {'PSNR': ['x', 'y']}
    assert means(found, 'PSNR') == {'a': 25, 'b': 25, 'c': 25}


def test_a_method_without_a_metric_takes_no_clips_away(tmp_path: Path):
    a = {'x': {'PSNR': 20.0, 'LPIPS': 0.3}}
    found = compare(load(tmp_path, a=a, b=psnr(x=21.0), c=a))
    assert means(found, 'LPIPS') == {'a': 0.3, 'c': 0.3}
    assert found.sets[0].metrics == ['PSNR', 'LPIPS']


def test_nothing_common_is_not_ranked(tmp_path: Path):
    runs = load(tmp_path, a=psnr(x=20, y=30), b=psnr(z=40), c=psnr(x=10))
    found = compare(runs)
    assert means(found, 'PSNR') == {'a': 25, 'b': 40, 'c': 10}
    assert {c.rank for c in found.sets[0].cells.values()} == {None}


def test_ranks_go_by_the_direction_and_leave_out_random(tmp_path: Path):
    scores = [
        {'PSNR': 20.0, 'LPIPS': 0.1},
        {'PSNR': 21.0, 'LPIPS': 0.2},
        {'PSNR': 99.0, 'LPIPS': 0.0},
        {'PSNR': 21.001, 'LPIPS': None},
    ]
    methods = dict(zip('abrd', [{'x': s} for s in scores], strict=True))
    runs = load(tmp_path, **methods)
    runs[2].method['random_init'] = True
    cells = compare(runs).sets[0].cells
    assert {m: cells[m, 'PSNR'].rank for m in 'abrd'} == {
        'a': 2,
        'b': 1,
        'r': None,
        'd': 1,
    }
    assert {m: cells[m, 'LPIPS'].rank for m in 'abr'} == {
        'a': 1,
        'b': 2,
        'r': None,
    }


def test_differences_go_to_the_reference(tmp_path: Path):
    runs = load(tmp_path, a=psnr(x=20, y=30), b=psnr(x=21, y=30), c=psnr(x=5))
    found = compare(runs, reference='b')
    cells = found.sets[0].cells
    assert cells['b', 'PSNR'].difference is None
    gain = cells['a', 'PSNR'].difference
    assert gain is not None
    assert (gain.value, gain.low, gain.high) == (-0.5, -1, 0)
    other = cells['c', 'PSNR'].difference
    assert other is not None
    assert (other.value, other.low, other.count) == (-16, None, 1)


def test_first_run_is_the_reference(tmp_path: Path):
    assert compare(load(tmp_path, a=psnr(x=1), b=psnr(x=2))).reference == 'a'


def test_one_method_alone(tmp_path: Path):
    cell = compare(load(tmp_path, a=psnr(x=1))).sets[0].cells['a', 'PSNR']
    assert (cell.mean.value, cell.rank, cell.difference) == (1, None, None)


def test_unknown_reference(tmp_path: Path):
    runs = load(tmp_path, a=psnr(x=1), b=psnr(x=2))
    with pytest.raises(ValueError, match='`reference` must be one of a, b'):
        compare(runs, reference='d')


def test_nothing_in_common(tmp_path: Path):
    runs = load(tmp_path, a=psnr(x=1), b=psnr(y=2))
    with pytest.raises(
        ValueError, match='a, b: no two methods have a score of the same'
    ):
        compare(runs)


def test_runs_that_disagree_on_what_is_better(tmp_path: Path):
    runs = load(tmp_path, a=psnr(x=1), b=psnr(x=2))
    runs[1].protocol['metrics'][0]['higher_is_better'] = False
    with pytest.raises(ValueError, match='PSNR is better lower, unlike'):
        compare(runs)
