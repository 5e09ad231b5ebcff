"""Intervals against SciPy, by hand, and at the ends."""

import numpy as np
import pytest

from star.user_study.statistics import Interval, bootstrap_shares, wilson


@pytest.mark.parametrize('count', [0, 1, 7, 20, 39, 40])
@pytest.mark.parametrize('level', [0.95, 0.8])
def test_wilson_is_scipys(count: int, level: float):
    stats = pytest.importorskip('scipy.stats')
    test = stats.binomtest(count, 40)
    expected = test.proportion_ci(level, method='wilson')
    found = wilson(count, 40, level)
    assert found.low == pytest.approx(expected.low, abs=1e-12)
    assert found.high == pytest.approx(expected.high, abs=1e-12)


def test_wilson_of_all_votes():
    assert wilson(0, 5).low == 0 and wilson(5, 5).high == 1


@pytest.mark.parametrize(('count', 'total'), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_refuses(count: int, total: int):
    with pytest.raises(ValueError, match='`count` must be within 0 to'):
        wilson(count, total)


def test_bootstrap_of_two():
    """Drawn are aa, ab, ba, bb: shares 1, 1/2, 1/2, 0."""
    both = Interval(0, 1)
    assert bootstrap_shares([[10, 0], [0, 10]]) == [both, both]


def test_bootstrap_of_people_who_agree():
    found = bootstrap_shares([[3, 1]] * 5)
    assert found == [Interval(0.75, 0.75), Interval(0.25, 0.25)]


def test_one_participant_has_no_interval():
    assert bootstrap_shares([[3, 1]]) is None


def test_bootstrap_is_scipys():
    """Equal numbers of votes: the share is the mean of their shares."""
    stats = pytest.importorskip('scipy.stats')
    counts = np.random.default_rng(1).multinomial(20, [0.5, 0.3, 0.2], 12)
    found = bootstrap_shares(counts.tolist())
    assert found is not None
    for i, interval in enumerate(found):
        expected = stats.bootstrap(
            (counts[:, i] / 20,),
            np.mean,
            method='percentile',
            n_resamples=10_000,
            rng=np.random.default_rng(2),
        ).confidence_interval
        assert interval.low == pytest.approx(expected.low, abs=0.006)
        assert interval.high == pytest.approx(expected.high, abs=0.006)


def test_who_votes_more_weighs_more():
    """Unequal numbers of votes: draws are 8/9, 9/12 .. 1/3 of them."""
    found = bootstrap_shares([[8, 1], [1, 2]])
    assert found is not None
    assert found[0].low == pytest.approx(1 / 3)
    assert found[0].high == pytest.approx(8 / 9)
