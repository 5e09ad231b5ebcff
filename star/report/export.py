"""A comparison as JSON, and as CSV with one score a row."""

import math
from typing import Any

from star.report.comparison import Cell, Comparison, SetComparison
from star.report.published import published_method
from star.report.remarks import Remark
from star.report.statistics import ClipMean
from star.utils.files import csv_text

FORMAT = 'star-report/1'
COLUMNS = (
    *('set', 'method', 'metric', 'mean', 'low', 'high', 'clips', 'rank'),
    *('difference', 'difference_low', 'difference_high', 'difference_clips'),
    *('seconds_per_frame', 'peak_memory', 'published', 'random'),
)
Value = float | str | None  # infinity is the text 'inf', as in results.json


def to_json(comparison: Comparison, remarks: list[Remark]) -> dict[str, Any]:
    """Return the content of all tables as JSON's types."""
    return {
        'format': FORMAT,
        'reference': comparison.reference,
        'seed': comparison.seed,
        'higher_is_better': comparison.higher_is_better,
        'methods': {
            name: {
                'folder': str(results.folder),
                'method': results.method,
                'protocol': results.protocol,
            }
            for name, results in comparison.results.items()
        },
        'rows': [
            dict(zip(COLUMNS, row, strict=True)) for row in _rows(comparison)
        ],
        'shared_clips': {
            table.name: table.shared for table in comparison.sets
        },
        'departures': {
            table.name: table.departure
            for table in comparison.sets
            if table.departure
        },
        'warnings': [{'level': r.level, 'text': r.text} for r in remarks],
    }


def to_csv(comparison: Comparison) -> str:
    """Return one line for each set, method and metric."""
    return csv_text([COLUMNS, *_rows(comparison)])


def _rows(comparison: Comparison) -> list[list[Value]]:
    """Return the scores, each row with a value for each of `COLUMNS`."""
    return [
        _row(comparison, table, method, metric, cell)
        for table in comparison.sets
        for (method, metric), cell in table.cells.items()
    ]


def _row(
    comparison: Comparison,
    table: SetComparison,
    method: str,
    metric: str,
    cell: Cell,
) -> list[Value]:
    results = comparison.results[method]
    scores = table.printed().get(published_method(results) or '', {})
    return [
        *(table.name, method, metric, *_values(cell.mean), cell.rank),
        *_values(cell.difference),
        *results.cost(table.name),
        scores.get(metric),
        results.random or None,
    ]


def _values(mean: ClipMean | None) -> list[Value]:
    if mean is None:
        return [None] * 4
    numbers = (mean.value, mean.low, mean.high)
    texts = [str(v) if v and math.isinf(v) else v for v in numbers]
    return [*texts, mean.count]
