"""Optuna as the search engine: ranges, trials, and resuming after a kill."""

import re

import pytest

from star.sweep.search import (
    Range,
    Search,
    parse_objective,
    parse_range,
    run_search,
)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('a.b=0.5:2', Range('a.b', 0.5, 2.0)),
        ('a=1e-4:1:log', Range('a', 1e-4, 1.0, log=True)),
        ('a=-2:8', Range('a', -2, 8, whole=True)),
        ('a=1:64:log', Range('a', 1, 64, log=True, whole=True)),
    ],
)
def test_ranges(text, expected):
    assert parse_range(text) == expected


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        ('a=1', 'takes KEY=LOW:HIGH'),
        ('=1:2', 'takes KEY=LOW:HIGH'),
        ('a=1:2:exp', 'takes KEY=LOW:HIGH'),
        ('a=1:2:log:3', 'takes KEY=LOW:HIGH'),
        ('a=x:2', 'takes KEY=LOW:HIGH'),
        ('a=2:1', 'LOW must be below HIGH'),
        ('a=1:nan', 'LOW must be below HIGH'),
        ('a=0:1:log', 'above 0 with log'),
    ],
)
def test_no_ranges(text, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        parse_range(text)


def test_objectives():
    assert parse_objective('UDM10/PSNR') == ('UDM10', 'PSNR')
    for text in ('PSNR', '/PSNR', 'UDM10/'):
        with pytest.raises(ValueError, match='--objective takes SET/METRIC'):
            parse_objective(text)


def search(trials: int, **changes) -> Search:
    ranges = [Range('m.x', -4.0, 4.0), Range('m.n', 1, 8, whole=True)]
    given = {'dataset': 'S', 'metric': 'PSNR', **changes}
    return Search('c.py', ranges, trials, **given)


def value(setting, key: str) -> float:
    return float(dict(setting.changes)[key])


def costs(settings):
    return [
        (value(s, 'm.x') - 1) ** 2 + (value(s, 'm.n') - 3) ** 2
        for s in settings
    ]


@pytest.fixture
def optuna():
    return pytest.importorskip('optuna', reason='optuna is not installed')


def test_what_is_tried_is_told(optuna, tmp_path):
    settings = run_search(search(5), tmp_path, 2, costs)
    assert len(settings) == 5
    assert all('.' not in dict(s.changes)['m.n'] for s in settings)
    assert all(-4 <= value(s, 'm.x') <= 4 for s in settings)
    study = optuna.load_study(
        study_name='sweep', storage=f'sqlite:///{tmp_path}/search.db'
    )
    assert [t.value for t in study.trials] == pytest.approx(costs(settings))
    assert study.best_value == pytest.approx(min(costs(settings)))


def test_a_killed_search_goes_on(optuna, tmp_path):
    asked = []

    def dying(settings):
        asked.append(settings)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return costs(settings)

    with pytest.raises(KeyboardInterrupt):
        run_search(search(4), tmp_path, 1, dying)
    left = asked[-1]
    again = []

    def noting(settings):
        again.extend(settings)
        return costs(settings)

    settings = run_search(search(4), tmp_path, 1, noting)
    assert again[0] == left[0]  # the same point, and its folder
    assert len(again) == 3 and len(settings) == 4
    assert len({s.name for s in settings}) == 4  # no point twice
    assert run_search(search(4), tmp_path, 1, dying) == settings


def test_failed_trials_count(optuna, tmp_path):
    settings = run_search(search(3), tmp_path, 2, lambda s: [None] * len(s))
    assert len(settings) == 3


def test_another_search_in_the_folder(optuna, tmp_path):
    run_search(search(1), tmp_path, 1, costs)
    with pytest.raises(ValueError, match=r'another search: .*"PSNR"'):
        run_search(search(1, metric='SSIM'), tmp_path, 1, costs)
    run_search(search(2, seed=5), tmp_path, 1, costs)
