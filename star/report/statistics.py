"""How far a mean over clips can be trusted, and which mean is the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over clips and the interval that it is known to.

    Args:
        mean: over the clips.
        low: lower end of the interval; None where there is no interval, for
            one clip or where a score is not finite.
        high: upper end, likewise.
        count: clips.
    """

    mean: float
    low: float | None
    high: float | None
    count: int


def estimate(values: Sequence[float], seed: int = 0) -> Estimate:
    """Average the scores of clips, with a bootstrap interval.

    Percentile bootstrap: clips are drawn with replacement, as many as there
    are, 10,000 times; the interval holds the middle 95 % of the means. For
    few clips it is too narrow, as any interval is that knows only them.

    Args:
        values: one score for each clip, at least one.
        seed: of the draws.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError('`values` must hold at least one score, got none')
    scores = np.asarray(values, dtype=np.float64)
    count = len(scores)
    if count == 1 or not np.isfinite(scores).all():
        return Estimate(float(np.sum(scores)) / count, None, None, count)
    draws = np.random.default_rng(seed).integers(
        count, size=(RESAMPLES, count)
    )
    means = scores[draws].mean(1)
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(means, [tail, 100 - tail])
    return Estimate(float(scores.mean()), float(low), float(high), count)


def paired_difference(
    scores: Mapping[str, float], reference: Mapping[str, float], seed: int = 0
) -> Estimate | None:
    """Average what a method gains over another on the clips both have.

    Args:
        scores: of the method, by clip.
        reference: of the other, by clip.
        seed: of the bootstrap.

    Returns:
        Method minus reference; None without a clip that both have, or where
        the difference is no number (both infinite).
    """
    shared = [name for name in reference if name in scores]
    gains = [scores[name] - reference[name] for name in shared]
    if not gains or any(math.isnan(gain) for gain in gains):
        return None
    return estimate(gains, seed)


def ranks(
    values: Mapping[str, float], higher_is_better: bool, digits: int
) -> dict[str, int]:
    """Rank methods by their means as they are printed.

    Equal means share a rank and the next one follows without a gap: two best
    methods leave a second best.

    Args:
        values: mean by method.
        higher_is_better: what is best.
        digits: after the decimal point, of what is printed.
    """
    rounded = {name: round(value, digits) for name, value in values.items()}
    order = sorted(set(rounded.values()), reverse=higher_is_better)
    return {name: order.index(value) + 1 for name, value in rounded.items()}
