"""Scores gathered over seeds."""

import pytest

from star.sweep.plan import Run
from star.sweep.results import gather
from tests.test_sweep.made import make_sweep, setting, write_results


def test_mean_and_spread(tmp_path):
    results = gather(make_sweep(tmp_path), tmp_path)
    assert results.sets() == ['UDM10']
    assert results.metrics('UDM10') == ['PSNR', 'LPIPS']
    score = results.find(setting('1'), 'UDM10', 'PSNR')
    assert score.values == {0: 23, 1: 24, 2: 25}
    assert (score.mean, score.spread) == (24, 1)  # divided by n - 1
    score = results.find(setting('1'), 'UDM10', 'LPIPS')
    assert (score.mean, score.spread) == (
        pytest.approx(0.07),
        pytest.approx(0),
    )
    assert results.find(setting('2'), 'UDM10', 'PSNR') is None
    assert results.remarks == []


def test_one_seed_and_infinity_have_no_spread(tmp_path):
    runs = [Run(setting('1'), seed) for seed in (0, 1)]
    write_results(tmp_path, runs[0], {'PSNR': 'inf', 'LPIPS': None})
    (score,) = gather(runs[:1], tmp_path).scores
    assert (score.mean, score.spread) == (float('inf'), None)
    write_results(tmp_path, runs[1], {'PSNR': 30.0})
    (score,) = gather(runs, tmp_path).scores
    assert (score.mean, score.spread) == (float('inf'), None)


def test_what_a_reader_must_know(tmp_path):
    runs = [*make_sweep(tmp_path), Run(setting('2'), 0), Run(setting('2'), 1)]
    write_results(
        tmp_path,
        runs[6],
        {'PSNR': 1.0},
        clips=9,
        problems=('UDM10/a: lost',),
        fingerprint='g',
    )
    results = gather(runs, tmp_path)
    problem, prints, uneven, missing = results.remarks
    assert problem.startswith('i2vgen-alpha=2/seed_0: 1 problems, see ')
    assert prints == 'not all runs have the same clips and metrics'
    assert uneven.startswith('UDM10, PSNR: between 9 and 10 clips')
    assert missing == 'no scores yet: i2vgen-alpha=2/seed_1'


def test_damaged_results(tmp_path):
    (run, *_) = make_sweep(tmp_path)
    path = tmp_path / 'runs' / run.name / 'test' / 'results.json'
    path.write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="format must be 'star-results/1'"):
        gather([run], tmp_path)
