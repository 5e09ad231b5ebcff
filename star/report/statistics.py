"""Means over clips with bootstrap intervals, and ranks of methods."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

RESAMPLES = 10_000
LEVEL = 0.95
MIN_CLIPS = 6  # with fewer, an interval of the bootstrap proves nothing


@dataclass(frozen=True)
class ClipMean:
    """A mean over clips and its confidence interval.

    Args:
        value: the mean.
        low: lower end of the interval; None for one clip, or where a score
            is not finite.
        high: upper end; None where `low` is.
        count: number of clips.
    """

    value: float
    low: float | None
    high: float | None
    count: int


def mean_over_clips(scores: Sequence[float], seed: int = 0) -> ClipMean:
    """Average the scores of clips, with a 95 % bootstrap interval.

    The interval is the percentile bootstrap's, from 10,000 resamples. For
    few clips it is too narrow: it knows no other clips.

    Args:
        scores: one for each clip, at least one.
        seed: of the bootstrap.

    Raises:
        ValueError: no scores.
    """
    if not scores:
        raise ValueError('`scores` must hold at least one score, got none')
    values = np.asarray(scores, dtype=np.float64)
    mean, count = float(values.mean()), len(values)
    if count == 1 or not np.isfinite(values).all():
        return ClipMean(mean, None, None, count)
    interval = bootstrap(
        (values,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method='percentile',
        rng=seed,
    ).confidence_interval
    return ClipMean(mean, float(interval.low), float(interval.high), count)


def paired_difference(
    scores: Mapping[str, float], reference: Mapping[str, float], seed: int = 0
) -> ClipMean | None:
    """Average a method's gain over another on the clips that both have.

    Args:
        scores: of the method, by clip.
        reference: of the other, by clip.
        seed: of the bootstrap.

    Returns:
        Method minus reference; None without a clip that both have, or where
        both scores of a clip are infinite.
    """
    shared = [name for name in reference if name in scores]
    gains = [scores[name] - reference[name] for name in shared]
    if not gains or any(math.isnan(gain) for gain in gains):
        return None
    return mean_over_clips(gains, seed)


def verdict(gain: ClipMean, higher_is_better: bool) -> str:
    """Judge a mean difference of clips.

    Args:
        gain: from `paired_difference`.
        higher_is_better: of the metric.

    Returns:
        'better' or 'worse' where the interval does not contain 0 and there
        are at least `MIN_CLIPS` clips, else ''.
    """
    if gain.low is None or gain.high is None or gain.count < MIN_CLIPS:
        return ''
    if gain.low > 0:
        return 'better' if higher_is_better else 'worse'
    if gain.high < 0:
        return 'worse' if higher_is_better else 'better'
    return ''


def ranks(
    means: Mapping[str, float], higher_is_better: bool, digits: int
) -> dict[str, int]:
    """Rank methods by their means as they are printed.

    Equal means share a rank, and the next rank follows without a gap: there
    is a second best method beside two best ones.

    Args:
        means: by method.
        higher_is_better: of the metric.
        digits: that are printed after the decimal point.
    """
    rounded = {name: round(mean, digits) for name, mean in means.items()}
    order = sorted(set(rounded.values()), reverse=higher_is_better)
    return {name: order.index(mean) + 1 for name, mean in rounded.items()}
