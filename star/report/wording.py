"""What a reader is told of the tables, in both forms of the report."""

from star.report.comparison import Comparison
from star.report.statistics import RESAMPLES


def explain(comparison: Comparison) -> str:
    """Say what the tables hold."""
    text = (
        'Means over the clips that all methods have; arrows say which way is '
        'better. In brackets: 95 % bootstrap intervals of the mean over '
        f'clips (percentile, {RESAMPLES} draws, seed {comparison.seed}); for '
        'few clips they are too narrow.'
    )
    if len(comparison.runs) > 1:
        text += (
            ' The best is bold, the second best underlined. Differences to '
            f'{comparison.reference} are taken clip by clip; '
            '"better" and "worse" mark those whose interval leaves '
            'out 0.'
        )
    return text
