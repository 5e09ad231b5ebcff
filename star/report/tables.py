"""Tables of a comparison as text, for Markdown and for the page."""

import math
from dataclasses import dataclass

from star.report.comparison import (
    Cell,
    Comparison,
    SetComparison,
    digits_of,
)
from star.report.published import load_published, published_method
from star.report.runs import Key, Run
from star.report.statistics import Estimate

NOTHING = '\u2013'  # en dash


@dataclass(frozen=True)
class Item:
    """One cell.

    Args:
        text: what stands there.
        note: the interval beside it, or ''.
        mark: 'best', 'second', 'better', 'worse', 'printed' (not measured)
            or ''.
    """

    text: str
    note: str = ''
    mark: str = ''


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Args:
        title: one line.
        head: of the columns.
        rows: as long as the head; the first cell names the row.
        folded: whether a page shows it only when asked.
    """

    title: str
    head: list[str]
    rows: list[list[Item]]
    folded: bool = False


def score_table(comparison: Comparison, part: SetComparison) -> Table:
    """Put the methods' means on a set beside one another.

    Below a method that is one of the paper's stands what the paper printed.
    """
    printed = load_published().get(part.name, {})
    rows = []
    for method in part.methods:
        run = comparison.runs[method]
        name = f'{method} (random weights)' if run.random else method
        row = [Item(name)]
        row += [_score(part, method, metric) for metric in part.metrics]
        rows.append([*row, *_cost(run, part.name)])
        original = published_method(run)
        if original in printed:
            row = _printed_row(original, printed[original], part.metrics)
            rows.append([*row, Item(NOTHING), Item(NOTHING)])
    head = ['method', *(_head(comparison, m) for m in part.metrics)]
    head += ['s per frame', 'peak memory']
    return Table(f'{part.name} ({_count(part)})', head, rows)


def difference_table(
    comparison: Comparison, part: SetComparison
) -> Table | None:
    """Put what each method gains over the reference into a table.

    A difference whose interval leaves out 0 is marked better or worse.

    Returns:
        None where there is nothing to compare with the reference.
    """
    others = [m for m in part.methods if m != comparison.reference]
    if not others or not part.metrics or others == part.methods:
        return None
    rows = []
    for method in others:
        row = [Item(method)]
        for metric in part.metrics:
            cell = part.cells.get((method, metric))
            better = comparison.higher_is_better[metric]
            row.append(_gain(cell, digits_of(metric), better))
        rows.append(row)
    head = ['method', *(_head(comparison, m) for m in part.metrics)]
    title = f'{part.name}: difference to {comparison.reference}'
    return Table(title, head, rows)


def printed_table(name: str) -> Table | None:
    """Collect what the paper printed for a set; None for another set."""
    printed = load_published().get(name)
    if printed is None:
        return None
    metrics = list(dict.fromkeys(m for row in printed.values() for m in row))
    rows = [_printed_row(m, scores, metrics) for m, scores in printed.items()]
    title = f'{name} as printed in the paper (published, not measured)'
    return Table(title, ['method', *metrics], rows, folded=True)


def set_tables(comparison: Comparison, part: SetComparison) -> list[Table]:
    """Make the tables of a set: scores, differences, printed numbers."""
    tables = [
        score_table(comparison, part),
        difference_table(comparison, part),
        printed_table(part.name),
    ]
    return [table for table in tables if table is not None]


def clip_table(comparison: Comparison, key: Key) -> Table | None:
    """Put the scores of one clip beside one another; None without any."""
    part = next(p for p in comparison.sets if p.name == key[0])
    if not part.metrics:
        return None
    rows = []
    for method in part.methods:
        clip = comparison.runs[method].clips.get(key)
        if clip is None:
            continue
        scores = [clip.scores.get(metric) for metric in part.metrics]
        pairs = zip(scores, part.metrics, strict=True)
        cells = [Item(number(value, digits_of(m))) for value, m in pairs]
        rows.append([Item(method), *cells])
    head = ['method', *(_head(comparison, m) for m in part.metrics)]
    return Table('Scores of this clip', head, rows)


def number(value: float | None, digits: int) -> str:
    """Print a score."""
    if value is None or math.isnan(value):
        return NOTHING
    return '∞' if math.isinf(value) else f'{value:.{digits}f}'


def memory(size: float | None) -> str:
    """Print bytes as MiB or GiB."""
    if size is None:
        return NOTHING
    if size < 2**30:
        return f'{size / 2**20:.0f} MiB'
    return f'{size / 2**30:.2f} GiB'


def _head(comparison: Comparison, metric: str) -> str:
    return f'{metric} {"↑" if comparison.higher_is_better[metric] else "↓"}'


def _count(part: SetComparison) -> str:
    counts = {len(names) for names in part.shared.values()}
    if not counts:
        return 'no scores'
    shown = ' to '.join(str(n) for n in sorted({min(counts), max(counts)}))
    return f'{shown} {"clip" if shown == "1" else "clips"}'


def _score(part: SetComparison, method: str, metric: str) -> Item:
    cell = part.cells.get((method, metric))
    if cell is None:
        return Item(NOTHING)
    digits = digits_of(metric)
    mark = {1: 'best', 2: 'second'}.get(cell.rank or 0, '')
    text = number(cell.estimate.mean, digits)
    return Item(text, _interval(cell.estimate, digits), mark)


def _gain(cell: Cell | None, digits: int, better: bool) -> Item:
    gain = cell.difference if cell else None
    if gain is None:
        return Item(NOTHING)
    mark = ''
    if gain.low is not None and gain.high is not None:
        if gain.low > 0:
            mark = 'better' if better else 'worse'
        elif gain.high < 0:
            mark = 'worse' if better else 'better'
    text = _signed(gain.mean, digits)
    return Item(text, _interval(gain, digits, signed=True), mark)


def _interval(found: Estimate, digits: int, signed: bool = False) -> str:
    if found.low is None or found.high is None:
        return ''
    show = _signed if signed else number
    return f'[{show(found.low, digits)}, {show(found.high, digits)}]'


def _signed(value: float, digits: int) -> str:
    sign = '\u2212' if value < 0 else '+'
    return f'{sign}{number(abs(value), digits)}'


def _cost(run: Run, name: str) -> list[Item]:
    seconds, peak = run.cost(name)
    shown = NOTHING if seconds is None else f'{seconds:.3g}'
    return [Item(shown), Item(memory(peak))]


def _printed_row(
    method: str, scores: dict[str, float], metrics: list[str]
) -> list[Item]:
    row = [Item(f'{method}, published, not measured', mark='printed')]
    for metric in metrics:
        text = number(scores.get(metric), digits_of(metric))
        row.append(Item(text, mark='printed'))
    return row
