"""A comparison as data: JSON, and a table of one score a row."""

import csv
import io
import math
from typing import Any

from star.report.comparison import Cell, Comparison, SetComparison
from star.report.published import load_published, published_method
from star.report.remarks import Remark
from star.report.statistics import Estimate

FORMAT = 'star-report/1'
COLUMNS = (
    *('set', 'method', 'metric', 'mean', 'low', 'high', 'clips', 'rank'),
    *('difference', 'difference_low', 'difference_high', 'difference_clips'),
    *('seconds_per_frame', 'peak_memory', 'published'),
)


def to_json(comparison: Comparison, remarks: list[Remark]) -> dict[str, Any]:
    """Collect everything that the tables show.

    Returns:
        What JSON can hold: infinity is the string 'inf'.
    """
    return {
        'format': FORMAT,
        'reference': comparison.reference,
        'seed': comparison.seed,
        'higher_is_better': comparison.higher_is_better,
        'methods': {
            name: {
                'folder': str(run.folder),
                'method': run.method,
                'protocol': run.protocol,
            }
            for name, run in comparison.runs.items()
        },
        'rows': rows(comparison),
        'shared_clips': {p.name: p.shared for p in comparison.sets},
        'warnings': [{'level': r.level, 'text': r.text} for r in remarks],
    }


def to_csv(comparison: Comparison) -> str:
    """Write one line for each set, method and metric."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows(comparison))
    return text.getvalue()


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """List the scores, one dict of `COLUMNS` each."""
    return [
        _row(comparison, part, method, metric, cell)
        for part in comparison.sets
        for (method, metric), cell in part.cells.items()
    ]


def _row(
    comparison: Comparison,
    part: SetComparison,
    method: str,
    metric: str,
    cell: Cell,
) -> dict[str, Any]:
    run = comparison.runs[method]
    printed = load_published().get(part.name, {})
    scores = printed.get(published_method(run) or '', {})
    values = [
        *(part.name, method, metric, *_ends(cell.estimate), cell.rank),
        *_ends(cell.difference),
        *run.cost(part.name),
        scores.get(metric),
    ]
    return dict(zip(COLUMNS, values, strict=True))


def _ends(found: Estimate | None) -> list[float | str | None]:
    if found is None:
        return [None] * 4
    ends = [_safe(v) for v in (found.mean, found.low, found.high)]
    return [*ends, found.count]


def _safe(value: float | None) -> float | str | None:
    infinite = value is not None and math.isinf(value)
    return str(value) if infinite else value
