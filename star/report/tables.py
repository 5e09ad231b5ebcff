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
from star.report.results import Key, MethodResults
from star.report.statistics import (
    MIN_CLIPS,
    RESAMPLES,
    ClipMean,
    verdict,
)
from star.report.weights import describe_weights

NOTHING = '\u2013'  # en dash


@dataclass(frozen=True)
class Item:
    """One cell of a table.

    Args:
        text: the number or name.
        note: the interval beside it, or ''.
        mark: 'best', 'second', 'better', 'worse', 'printed' (published, not
            measured) or ''.
    """

    text: str
    note: str = ''
    mark: str = ''


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Args:
        title: one line.
        head: titles of the columns.
        rows: one cell for each column; the first one names the row.
        folded: the page shows the title only, until it is clicked.
        remark: below the table, one sentence without its full stop, or ''.
    """

    title: str
    head: list[str]
    rows: list[list[Item]]
    folded: bool = False
    remark: str = ''


def explanation(comparison: Comparison) -> str:
    """Return a paragraph that explains the tables."""
    text = (
        'Means over the clips that all methods have. The arrow of a metric '
        'points to better. In brackets: 95 % bootstrap intervals of the mean '
        f'over clips (percentile, {RESAMPLES} resamples, seed '
        f'{comparison.seed}); for few clips they are too narrow.'
    )
    if len(comparison.results) > 1:
        text += (
            ' The best is bold, the second best underlined. Differences to '
            f'{comparison.reference} are taken clip by clip. They are marked '
            '"better" or "worse" where the interval does not contain 0 and '
            f'there are at least {MIN_CLIPS} clips.'
        )
    return text


def score_table(comparison: Comparison, set_: SetComparison) -> Table:
    """Return a table of the methods' means on a set.

    The paper's numbers follow below a method that the paper has, if the set
    is the paper's.
    """
    printed = set_.printed()
    rows = []
    for method in set_.methods:
        results = comparison.results[method]
        row = [Item(results.label)]
        row += [_score(set_, method, metric) for metric in set_.metrics]
        rows.append([*row, *_cost(results, set_.name)])
        original = published_method(results)
        if original in printed:
            row = _printed_row(original, printed[original], set_.metrics)
            rows.append([*row, Item(NOTHING), Item(NOTHING)])
    head = ['method', *(_head(comparison, m) for m in set_.metrics)]
    head += ['s per frame', 'peak memory']
    title = f'{set_.name} ({_count(set_)})'
    return Table(title, head, rows, remark=set_.departure)


def difference_table(
    comparison: Comparison, set_: SetComparison
) -> Table | None:
    """Return a table of the methods' differences to the reference.

    A difference over enough clips whose interval does not contain 0 is marked
    better or worse.

    Returns:
        None where no method can be compared with the reference.
    """
    others = [m for m in set_.methods if m != comparison.reference]
    if not others or not set_.metrics or others == set_.methods:
        return None
    rows = []
    for method in others:
        row = [Item(comparison.results[method].label)]
        for metric in set_.metrics:
            cell = set_.cells.get((method, metric))
            better = comparison.higher_is_better[metric]
            row.append(_gain(cell, digits_of(metric), better))
        rows.append(row)
    head = ['method', *(_head(comparison, m) for m in set_.metrics)]
    title = f'{set_.name}: difference to {comparison.reference}'
    return Table(title, head, rows)


def printed_table(name: str) -> Table | None:
    """Return the paper's numbers on a set; None if the paper has none."""
    printed = load_published().get(name)
    if printed is None:
        return None
    metrics = list(dict.fromkeys(m for row in printed.values() for m in row))
    rows = [_printed_row(m, scores, metrics) for m, scores in printed.items()]
    title = f'{name} as printed in the paper (published, not measured)'
    return Table(title, ['method', *metrics], rows, folded=True)


def set_tables(comparison: Comparison, set_: SetComparison) -> list[Table]:
    """Return the tables of a set: scores, differences, printed numbers."""
    tables = [
        score_table(comparison, set_),
        difference_table(comparison, set_),
        None if set_.departure else printed_table(set_.name),
    ]
    return [table for table in tables if table is not None]


def method_table(comparison: Comparison) -> Table:
    """Return a table of the methods, their weights and their protocols."""
    rows = []
    for results in comparison.results.values():
        protocol = results.protocol
        values = [
            results.method.get('config'),
            describe_weights(results.method),
            protocol.get('input'),
            protocol.get('decoder'),
            protocol.get('device'),
            str(protocol.get('fingerprint', ''))[:12],
        ]
        cells = [Item('' if v is None else str(v)) for v in values]
        rows.append([Item(results.label), *cells])
    head = ['method', 'config', 'weights', 'scored', 'decoder', 'device']
    return Table('Methods', [*head, 'protocol'], rows)


def clip_table(comparison: Comparison, key: Key) -> Table | None:
    """Return a table of the scores of one clip; None without a metric."""
    set_ = next(p for p in comparison.sets if p.name == key[0])
    if not set_.metrics:
        return None
    rows = []
    for method in set_.methods:
        clip = comparison.results[method].clips.get(key)
        if clip is None:
            continue
        scores = [clip.scores.get(metric) for metric in set_.metrics]
        pairs = zip(scores, set_.metrics, strict=True)
        cells = [Item(number(value, digits_of(m))) for value, m in pairs]
        rows.append([Item(comparison.results[method].label), *cells])
    head = ['method', *(_head(comparison, m) for m in set_.metrics)]
    return Table('Scores of this clip', head, rows)


def number(value: float | None, digits: int) -> str:
    """Return a score as text."""
    if value is None or math.isnan(value):
        return NOTHING
    return '∞' if math.isinf(value) else f'{value:.{digits}f}'


def memory(size: float | None) -> str:
    """Return a number of bytes as text, in MiB or GiB."""
    if size is None:
        return NOTHING
    if size < 2**30:
        return f'{size / 2**20:.0f} MiB'
    return f'{size / 2**30:.2f} GiB'


def _head(comparison: Comparison, metric: str) -> str:
    return f'{metric} {"↑" if comparison.higher_is_better[metric] else "↓"}'


def _count(set_: SetComparison) -> str:
    counts = {len(names) for names in set_.shared.values()}
    if not counts:
        return 'no scores'
    shown = ' to '.join(str(n) for n in sorted({min(counts), max(counts)}))
    return f'{shown} {"clip" if shown == "1" else "clips"}'


def _score(set_: SetComparison, method: str, metric: str) -> Item:
    cell = set_.cells.get((method, metric))
    if cell is None:
        return Item(NOTHING)
    digits = digits_of(metric)
    mark = {1: 'best', 2: 'second'}.get(cell.rank or 0, '')
    text = number(cell.mean.value, digits)
    return Item(text, _interval(cell.mean, digits), mark)


def _gain(cell: Cell | None, digits: int, better: bool) -> Item:
    gain = cell.difference if cell else None
    if gain is None:
        return Item(NOTHING)
    text = _signed(gain.value, digits)
    note = _interval(gain, digits, signed=True)
    return Item(text, note, verdict(gain, better))


def _interval(mean: ClipMean, digits: int, signed: bool = False) -> str:
    if mean.low is None or mean.high is None:
        return ''
    show = _signed if signed else number
    return f'[{show(mean.low, digits)}, {show(mean.high, digits)}]'


def _signed(value: float, digits: int) -> str:
    sign = '\u2212' if value < 0 else '+'
    return f'{sign}{number(abs(value), digits)}'


def _cost(results: MethodResults, dataset: str) -> list[Item]:
    seconds, peak = results.cost(dataset)
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
