"""How often methods are chosen, and how far that can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LEVEL = 0.95
RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """Ends of an interval of a share.

    Args:
        low: >= 0.
        high: <= 1.
    """

    low: float
    high: float


def wilson(count: int, total: int, level: float = LEVEL) -> Interval:
    """Compute the score interval of a share.

    Wilson, "Probable inference, the law of succession, and statistical
    inference", 1927. It takes all votes as independent, which those of one
    participant are not.

    Args:
        count: votes for the method.
        total: all votes, >= 1.
        level: of confidence, in (0, 1).

    Raises:
        ValueError: `count` is not within 0 to `total`, or no votes.
    """
    if total < 1 or not 0 <= count <= total:
        raise ValueError(
            f'`count` must be within 0 to `total` >= 1, got {count} of {total}'
        )
    z2 = NormalDist().inv_cdf((1 + level) / 2) ** 2
    share = count / total
    middle = share + z2 / (2 * total)
    spread = (z2 * (share * (1 - share) + z2 / (4 * total)) / total) ** 0.5
    scale = 1 + z2 / total
    # the ends are exactly 0 and 1 where all or none agree
    low = 0.0 if count == 0 else (middle - spread) / scale
    high = 1.0 if count == total else (middle + spread) / scale
    return Interval(low, high)


def bootstrap_shares(
    counts: Sequence[Sequence[int]], seed: int = 0
) -> list[Interval] | None:
    """Compute intervals of all methods' shares by drawing participants.

    Percentile bootstrap: as many participants as there are, drawn with
    replacement, 10,000 times; all votes of one stay together, so that it
    counts that one person's taste decides many votes. For few participants
    it is too narrow.

    Args:
        counts: votes by participant and method, (P, M); every participant
            has one vote at least.
        seed: of the draws.

    Returns:
        An interval for each method; None for fewer than two participants.
    """
    table = np.asarray(counts, dtype=np.int64)
    people = len(table)
    if people < 2:
        return None
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(people, [1 / people] * people, RESAMPLES)
    votes = weights @ table  # (RESAMPLES, M)
    shares = votes / votes.sum(1, keepdims=True)
    tail = 50 * (1 - LEVEL)
    ends = np.percentile(shares, [tail, 100 - tail], axis=0)
    return [Interval(float(low), float(high)) for low, high in ends.T]
