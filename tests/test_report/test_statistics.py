"""Intervals against exact ones, ranks by hand.

The bounds of an interval depend on the random resamples. The tolerances here
are the noise of 10,000 resamples: another bootstrap may move a bound by that.
"""

import math
from itertools import product

import numpy as np
import pytest

from star.report.statistics import mean_over_clips, paired_difference, ranks


def test_interval_is_that_of_all_resamples():
    """Four clips have 256 resamples: their percentiles, without drawing."""
    values = [20.0, 23.0, 24.5, 31.0]
    means = [sum(drawn) / 4 for drawn in product(values, repeat=4)]
    low, high = np.percentile(means, [2.5, 97.5])
    found = mean_over_clips(values)
    assert found.value == pytest.approx(24.625)
    assert found.low == pytest.approx(low, abs=0.3)
    assert found.high == pytest.approx(high, abs=0.3)
    assert found.count == 4


def test_interval_of_many_clips_is_the_textbook_one():
    values = np.random.default_rng(3).normal(25, 2, size=400)
    half = 1.96 * values.std(ddof=1) / math.sqrt(400)
    found = mean_over_clips(list(values))
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_seed_decides():
    values = list(np.random.default_rng(0).normal(size=12))
    assert mean_over_clips(values, 1) == mean_over_clips(values, 1)
    assert mean_over_clips(values, 1) != mean_over_clips(values, 2)


@pytest.mark.parametrize('values', [[30.0], [30.0, math.inf]])
def test_no_interval_without_spread(values: list[float]):
    found = mean_over_clips(values)
    assert (found.low, found.high) == (None, None)
    assert found.value == sum(values) / len(values)


def test_equal_scores_have_an_interval_of_no_width():
    found = mean_over_clips([0.5, 0.5, 0.5])
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


def test_nothing_to_average():
    with pytest.raises(ValueError, match='`scores`'):
        mean_over_clips([])


def test_difference_is_taken_clip_by_clip():
    """Far apart clips, equal gains: the difference is certain."""
    scores = {'a': 21.0, 'b': 31.0, 'c': 41.0, 'only here': 99.0}
    reference = {'b': 30.0, 'a': 20.0, 'c': 40.0, 'only there': 0.0}
    found = paired_difference(scores, reference)
    assert found is not None
    assert (found.value, found.low, found.high, found.count) == (1, 1, 1, 3)


def test_difference_has_a_sign():
    found = paired_difference({'a': 0.1, 'b': 0.3}, {'a': 0.2, 'b': 0.6})
    assert found is not None
    assert found.value == pytest.approx(-0.2)
    assert found.low == pytest.approx(-0.3)
    assert found.high == pytest.approx(-0.1)


@pytest.mark.parametrize(
    'reference', [{}, {'other': 1.0}, {'a': math.inf, 'b': 1.0}]
)
def test_no_difference(reference: dict[str, float]):
    assert paired_difference({'a': math.inf, 'b': 2.0}, reference) is None


def test_ranks_in_both_directions():
    values = {'a': 1.0, 'b': 3.0, 'c': 2.0}
    assert ranks(values, True, 2) == {'a': 3, 'b': 1, 'c': 2}
    assert ranks(values, False, 2) == {'a': 1, 'b': 3, 'c': 2}


def test_what_prints_alike_ranks_alike():
    values = {'a': 23.911, 'b': 23.914, 'c': 23.90, 'd': math.inf}
    assert ranks(values, True, 2) == {'d': 1, 'a': 2, 'b': 2, 'c': 3}
    assert ranks(values, True, 3) == {'d': 1, 'b': 2, 'a': 3, 'c': 4}
