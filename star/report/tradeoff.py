"""Figure of one metric against another, with the paper's numbers."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from star.report.comparison import compare
from star.report.figures import COLOURS, SHAPES, new_figure
from star.report.paper_sets import DEPARTURE
from star.report.published import ABLATION_SET, load_ablations
from star.report.results import MethodResults
from star.report.statistics import ClipMean
from star.utils.text import read_number

_COLUMNS = ('setting', 'config', 'changes', 'kind', 'set', 'metric', 'mean')
_OTHER = "other clips than the paper's"
_HIGHER = ('PSNR', 'SSIM', 'DOVER', 'CLIPIQA', 'MUSIQ', 'FasterVQA')
_LOWER = ('LPIPS', 'DISTS', 'Ewarp', 'NIQE', 'ILNIQE')

Bar = tuple[float, float]  # lengths below and above a mean


@dataclass(frozen=True)
class Mark:
    """A point of the figure.

    Args:
        series: points of one series have the same colour and shape.
        value: number that varies within the series; None if the series has
            only this point.
        x: mean of the metric on the x axis.
        y: mean of the metric on the y axis.
        x_bar: bar of x.
        y_bar: bar of y.
        published: the paper's number, not measured.
        clips: how the clips of a set that has the name of a set of the paper
            differ from the paper's; '' if they do not, and for other sets.
    """

    series: str
    value: float | None
    x: float
    y: float
    x_bar: Bar = (0.0, 0.0)
    y_bar: Bar = (0.0, 0.0)
    published: bool = False
    clips: str = ''


@dataclass(frozen=True)
class MetricPair:
    """The two metrics of the figure.

    Args:
        dataset: name of the set; None where there is only one.
        x: metric on the x axis.
        y: metric on the y axis.
    """

    dataset: str | None
    x: str
    y: str


def marks_of_results(
    results: Sequence[MethodResults], axes: MetricPair
) -> tuple[str, list[Mark]]:
    """Average the results of methods over the clips that all of them have.

    Args:
        results: at least one.
        axes: the metrics.

    Returns:
        Name of the set, and a point for each method with both metrics. Bars
        are the bootstrap intervals of the means over clips.

    Raises:
        ValueError: the set is missing, or no method has both metrics.
    """
    tables = {table.name: table for table in compare(list(results)).sets}
    dataset = _choose(list(tables), axes)
    cells = tables[dataset].cells
    clips = _OTHER if tables[dataset].departure else ''
    marks = []
    for each in results:
        x, y = cells.get((each.name, axes.x)), cells.get((each.name, axes.y))
        if x is not None and y is not None:
            bars = (_interval(x.mean), _interval(y.mean))
            means = (x.mean.value, y.mean.value)
            mark = Mark(each.label, None, *means, *bars)
            marks.append(replace(mark, clips=clips))
    return dataset, _check(marks, dataset, axes)


def marks_of_table(path: Path, axes: MetricPair) -> tuple[str, list[Mark]]:
    """Read the means of a sweep from its `table.csv`.

    Settings of one config that differ in a plain number are one series.

    Args:
        path: of the file; its published rows are not used.
        axes: the metrics.

    Returns:
        Name of the set, and the points. Bars are the standard deviation over
        seeds, if known.

    Raises:
        ValueError: the file is no table of a sweep, the set is missing, or no
            setting has both metrics.
    """
    rows = _measured(path)
    dataset = _choose(list(dict.fromkeys(r['set'] for r in rows)), axes)
    scores: dict[tuple[str, str, str], dict[str, dict[str, str]]] = {}
    for row in rows:
        if row['set'] == dataset:
            key = (row['setting'], row['config'], row['changes'])
            scores.setdefault(key, {})[row['metric']] = row
    marks = []
    for key, metrics in scores.items():
        if axes.x in metrics and axes.y in metrics:
            marks.append(_table_mark(key, metrics[axes.x], metrics[axes.y]))
    return dataset, _check(marks, dataset, axes)


def published_marks(tables: Iterable[int], axes: MetricPair) -> list[Mark]:
    """Return the rows of the paper's tables 3, 4, 5 and 7.

    Args:
        tables: their numbers.
        axes: the metrics; 'LPIPS_squeeze' finds the paper's 'LPIPS'.

    Raises:
        ValueError: a table is unknown or lacks a metric.
    """
    marks, found = [], load_ablations()
    x, y = printed(axes.x), printed(axes.y)
    for table in tables:
        rows = {s: v for (number, s), v in found.items() if number == table}
        if not rows:
            raise ValueError(f'`published` must be of 3, 4, 5, 7, got {table}')
        for setting, scores in rows.items():
            if x not in scores or y not in scores:
                known = ', '.join(scores)
                raise ValueError(f'table {table} has only {known}')
            head, _, last = setting.rpartition(' ')
            value = read_number(last)
            name = setting if value is None else head
            series = f'table {table}: {name}'
            marks.append(
                Mark(series, value, scores[x], scores[y], published=True)
            )
    return marks


def printed(metric: str) -> str:
    """Return the paper's name of a metric."""
    return metric.partition('_')[0]


def draw_tradeoff(
    measured: Sequence[Mark], published: Sequence[Mark], axes: MetricPair
) -> Figure:
    """Draw the points; the paper's are hollow.

    The paper's points have a panel of their own unless set, clips and metrics
    are the paper's: scores of different clips do not belong on one scale.

    Args:
        measured: from `marks_of_results` or `marks_of_table`; may be empty.
        published: from `published_marks`; may be empty.
        axes: with the name of the set, if anything is measured.
    """
    paper = MetricPair(ABLATION_SET, printed(axes.x), printed(axes.y))
    groups = [(list(measured), axes), (list(published), paper)]
    if axes == paper and not any(mark.clips for mark in measured):
        groups = [([*measured, *published], axes)]
    groups = [(marks, pair) for marks, pair in groups if marks]
    figure, panels = new_figure(len(groups), width=5, height=4.8)
    for panel, (marks, pair) in zip(panels, groups, strict=True):
        _panel(panel, marks)
        panel.set_xlabel(_label(pair.x))
        panel.set_ylabel(_label(pair.y))
        panel.set_title(_title(marks, pair), fontsize='medium')
        panel.margins(0.12)
    return figure


def _panel(panel: Axes, marks: Sequence[Mark]) -> None:
    names = dict.fromkeys(mark.series for mark in marks)
    for i, name in enumerate(names):
        own = [mark for mark in marks if mark.series == name]
        own.sort(key=lambda m: math.inf if m.value is None else m.value)
        colour, hollow = COLOURS[i % len(COLOURS)], own[0].published
        panel.errorbar(
            [m.x for m in own],
            [m.y for m in own],
            xerr=_bars([m.x_bar for m in own]),
            yerr=_bars([m.y_bar for m in own]),
            label=name,
            color=colour,
            # other pairs when the colours begin again
            marker=SHAPES[(i + i // len(COLOURS)) % len(SHAPES)],
            markerfacecolor='none' if hollow else colour,
            linestyle=':' if hollow else '-',
            capsize=3,
        )
        for mark in own:
            if mark.value is not None:
                _annotate(panel, mark, colour)
    panel.legend(
        fontsize='small',
        ncols=1 if len(names) < 4 else 2,
        loc='upper center',
        bbox_to_anchor=(0.5, -0.14),
    )


def _bars(bars: Sequence[Bar]) -> list[tuple[float, ...]] | None:
    """Return bars in matplotlib's order; None if all are empty."""
    if not any(map(any, bars)):
        return None
    return list(zip(*bars, strict=True))


def _title(marks: Sequence[Mark], pair: MetricPair) -> str:
    kinds = {mark.published for mark in marks}
    if kinds == {True}:
        return f'printed in the paper ({pair.dataset}, by the numbers)'
    if len(kinds) == 2:
        return f'{pair.dataset}; hollow: printed in the paper'
    clips = f' ({marks[0].clips})' if marks[0].clips else ''
    return f'{pair.dataset}, measured{clips}'


def _annotate(panel: Axes, mark: Mark, colour: str) -> None:
    panel.annotate(
        f'{mark.value:g}',
        (mark.x, mark.y),
        xytext=(6, 5),
        textcoords='offset points',
        fontsize='small',
        color=colour,
        bbox={'facecolor': 'white', 'edgecolor': 'none', 'pad': 0.5},
    )


def _label(metric: str) -> str:
    """Return a metric with an arrow that points to better, if known."""
    name = printed(metric)
    arrow = {**dict.fromkeys(_HIGHER, ' ↑'), **dict.fromkeys(_LOWER, ' ↓')}
    return metric + arrow.get(name, '')


def _measured(path: Path) -> list[dict[str, str]]:
    """Read the measured rows of a sweep's table."""
    try:
        with open(path, encoding='utf-8', newline='') as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    lacking = [c for c in _COLUMNS if c not in (reader.fieldnames or [])]
    if lacking:
        raise ValueError(
            f'{path} is no table of `star sweep`: it has no column '
            f'{lacking[0]!r}'
        )
    return [row for row in rows if row['kind'] == 'measured']


def _table_mark(
    key: tuple[str, str, str], x: Mapping[str, str], y: Mapping[str, str]
) -> Mark:
    setting, config, changes = key
    pairs = [text.partition('=') for text in changes.split('; ') if text]
    numbers = {name: read_number(text) for name, _, text in pairs}
    varied = [name for name, value in numbers.items() if value is not None]
    if varied:
        name, value = varied[0], numbers[varied[0]]
        others = [f'{k}={v}' for k, _, v in pairs if k != name]
        words = [Path(config).stem, *others, name.split('.')[-1]]
        series = ', '.join(words)
    else:
        series, value = setting, None
    bars = (_spread(x), _spread(y))
    mark = Mark(series, value, float(x['mean']), float(y['mean']), *bars)
    if x['set'] != ABLATION_SET:
        return mark
    if DEPARTURE not in x:
        return replace(mark, clips='the table does not state the clips')
    return replace(mark, clips=_OTHER if x[DEPARTURE] else '')


def _spread(row: Mapping[str, str]) -> Bar:
    spread = read_number(row.get('spread') or '') or 0.0
    return spread, spread


def _interval(mean: ClipMean) -> Bar:
    if mean.low is None or mean.high is None:
        return 0.0, 0.0
    return mean.value - mean.low, mean.high - mean.value


def _choose(sets: list[str], axes: MetricPair) -> str:
    if axes.dataset in sets:
        return str(axes.dataset)
    if axes.dataset is None and len(sets) == 1:
        return sets[0]
    given = 'none' if axes.dataset is None else repr(axes.dataset)
    raise ValueError(f'`set` must be one of {", ".join(sets)}, got {given}')


def _check(marks: list[Mark], dataset: str, axes: MetricPair) -> list[Mark]:
    if not marks:
        raise ValueError(f'{dataset}: nothing has both {axes.x} and {axes.y}')
    return marks
