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


def test_one_cause_is_named_once(tmp_path):
    """Runs with equal problems, and metrics with equal numbers of clips."""
    runs = make_sweep(tmp_path)
    for run, clips in zip(runs[:3], (10, 9, 9), strict=True):
        scores = {'PSNR': 1.0, 'LPIPS': 0.1}
        problems = tuple(f'PSNR of UDM10/{i}: no gt' for i in range(30))
        write_results(tmp_path, run, scores, clips=clips, problems=problems)
    problem, uneven = gather(runs, tmp_path).remarks
    names = ', '.join(run.name for run in runs[:3])
    path = tmp_path / 'runs' / runs[0].name / 'test' / 'results.json'
    assert problem == f'3 runs ({names}): 30 problems each, see {path}'
    assert uneven.startswith('UDM10, PSNR, LPIPS: between 9 and 10 clips')


@pytest.mark.parametrize(
    ('facts', 'reason'),
    [
        ({'clips': 9}, '9 clips, not 10 clips'),
        ({'frames': 8}, '8 frames, not 32 frames'),
        ({}, ''),
    ],
)
def test_other_sets_than_the_papers(tmp_path, facts, reason):
    runs = make_sweep(tmp_path)
    scores = {'PSNR': 1.0, 'LPIPS': 0.1}
    write_results(tmp_path, runs[-1], scores, **facts)
    departures = gather(runs, tmp_path).departures
    assert list(departures) == (['UDM10'] if reason else [])
    assert reason in departures.get('UDM10', '')


def test_random_parts(tmp_path):
    runs = make_sweep(tmp_path)
    keys = ('part', 'kind', 'source', 'sha256', 'tensors', 'parameters')
    rows = [
        ('autoencoder', 'random', '', '', 2, 9),
        ('unet', 'file', 'x.pt', 'a' * 64, 2, 9),
    ]
    records = tuple(dict(zip(keys, row, strict=True)) for row in rows)
    write_results(tmp_path, runs[0], {'PSNR': 1.0}, origins=records)
    found = gather(runs, tmp_path)
    name = runs[0].setting.name
    assert found.random == {name: 'random weights in autoencoder'}
    assert found.label(runs[0].setting) == f'{name} ({found.random[name]})'
    assert found.label(runs[-1].setting) == runs[-1].setting.name
    records[0]['kind'] = 'elsewhere'
    write_results(tmp_path, runs[0], {'PSNR': 1.0}, origins=records)
    with pytest.raises(ValueError, match='no origin of weights'):
        gather(runs, tmp_path)


def test_damaged_results(tmp_path):
    (run, *_) = make_sweep(tmp_path)
    path = tmp_path / 'runs' / run.name / 'test' / 'results.json'
    path.write_text('{"format": "other"}')
    with pytest.raises(ValueError, match="format must be 'star-results/1'"):
        gather([run], tmp_path)
