"""Confidence intervals of the methods' shares of the votes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, bootstrap

LEVEL = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """Interval of a share.

    Args:
        low: >= 0.
        high: <= 1.
    """

    low: float
    high: float


def wilson(count: int, total: int) -> Interval:
    """Compute Wilson's score interval of a share.

    It takes all votes as independent, which those of one participant are
    not.

    Args:
        count: votes for the method.
        total: all votes, >= 1.
    """
    low, high = binomtest(count, total).proportion_ci(LEVEL, method='wilson')
    return Interval(float(low), float(high))


def bootstrap_shares(
    counts: Sequence[Sequence[int]], seed: int = 0
) -> list[Interval] | None:
    """Compute the methods' intervals by resampling participants.

    Percentile bootstrap with 10,000 resamples. All votes of a participant
    stay together, as they depend on one person's taste. For few participants
    the intervals are too narrow.

    Args:
        counts: votes by participant and method, (P, M); every participant
            has at least one vote.
        seed: of the bootstrap.

    Returns:
        An interval for each method; None for fewer than two participants.
    """
    if len(counts) < 2:
        return None
    interval = bootstrap(
        tuple(np.asarray(counts).T),
        _shares,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method='percentile',
        rng=seed,
    ).confidence_interval
    return [
        Interval(float(low), float(high))
        for low, high in zip(interval.low, interval.high, strict=True)
    ]


def _shares(*votes: np.ndarray, axis: int) -> np.ndarray:
    """Return each method's share of the votes of all participants.

    Args:
        votes: of each method, with participants along `axis`.
        axis: of the participants.
    """
    sums = np.stack([each.sum(axis) for each in votes])
    return sums / sums.sum(0)
