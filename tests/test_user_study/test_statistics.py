"""Intervals against their definitions, by hand, and at the ends.

The bounds of a bootstrap interval depend on the random resamples. Where they
are not exact, the tolerance is the noise of 10,000 resamples.
"""

import numpy as np
import pytest

from star.user_study.statistics import Interval, bootstrap_shares, wilson


@pytest.mark.parametrize('count', [1, 7, 20, 39])
def test_wilson_solves_the_score_equation(count: int):
    """At both ends the share is 1.96 standard errors from the votes'."""
    found = wilson(count, 40)
    for end in (found.low, found.high):
        error = (end * (1 - end) / 40) ** 0.5
        assert abs(count / 40 - end) / error == pytest.approx(
            1.95996, rel=1e-5
        )


def test_wilson_of_all_votes():
    assert wilson(0, 5).low == 0 and wilson(5, 5).high == 1


def test_bootstrap_of_two():
    """The resamples are aa, ab, ba, bb: shares 1, 1/2, 1/2, 0."""
    both = Interval(0, 1)
    assert bootstrap_shares([[10, 0], [0, 10]]) == [both, both]


def test_bootstrap_of_people_who_agree():
    found = bootstrap_shares([[3, 1]] * 5)
    assert found == [Interval(0.75, 0.75), Interval(0.25, 0.25)]


def test_one_participant_has_no_interval():
    assert bootstrap_shares([[3, 1]]) is None


def test_bootstrap_resamples_participants():
    """Drawn here by their multiplicities, which are multinomial."""
    rng = np.random.default_rng(1)
    counts = rng.multinomial(20, [0.5, 0.3, 0.2], 12)
    found = bootstrap_shares(counts.tolist())
    assert found is not None
    votes = rng.multinomial(12, [1 / 12] * 12, 50_000) @ counts
    low, high = np.percentile(votes / votes.sum(1)[:, None], [2.5, 97.5], 0)
    assert [each.low for each in found] == pytest.approx(low, abs=0.006)
    assert [each.high for each in found] == pytest.approx(high, abs=0.006)


def test_who_votes_more_weighs_more():
    """Unequal numbers of votes: the shares are 8/9, 9/12 and 1/3."""
    found = bootstrap_shares([[8, 1], [1, 2]])
    assert found is not None
    assert found[0].low == pytest.approx(1 / 3)
    assert found[0].high == pytest.approx(8 / 9)
