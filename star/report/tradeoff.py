"""One metric against another: what is measured beside what was printed."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from star.report.comparison import compare
from star.report.figures import COLOURS, SHAPES, new_figure
from star.report.published import ABLATION_SET, load_ablations
from star.report.runs import Run
from star.report.statistics import Estimate

_COLUMNS = ('setting', 'config', 'changes', 'kind', 'set', 'metric', 'mean')
_HIGHER, _LOWER = ('PSNR', 'SSIM', 'DOVER'), ('LPIPS', 'Ewarp', 'NIQE')

Span = tuple[float, float]  # how far a bar reaches below and above


@dataclass(frozen=True)
class Mark:
    """A point of the figure.

    Args:
        series: marks of one series are of one look.
        value: the number that varies within the series; None if there is
            none, the series is then this mark alone.
        x: mean of the metric across.
        y: mean of the metric upwards.
        x_span: of its bar.
        y_span: likewise.
        published: a number that the paper prints.
    """

    series: str
    value: float | None
    x: float
    y: float
    x_span: Span = (0.0, 0.0)
    y_span: Span = (0.0, 0.0)
    published: bool = False


@dataclass(frozen=True)
class Axes:
    """What is drawn against what.

    Args:
        dataset: name of the set; None where there is only one.
        x: name of the metric across.
        y: name of the metric upwards.
    """

    dataset: str | None
    x: str
    y: str


def marks_of_runs(runs: Sequence[Run], axes: Axes) -> tuple[str, list[Mark]]:
    """Average the runs of `tools/test.py` over the clips all of them have.

    Args:
        runs: at least one.
        axes: what is wanted.

    Returns:
        Name of the set, and a mark for each run that has both metrics; bars
        are the bootstrap intervals of the means over clips.

    Raises:
        ValueError: no such set, or no run has both metrics.
    """
    tables = {table.name: table for table in compare(list(runs)).sets}
    dataset = _choose(list(tables), axes)
    cells = tables[dataset].cells
    marks = []
    for run in runs:
        pair = [cells.get((run.name, metric)) for metric in (axes.x, axes.y)]
        found = [cell.estimate for cell in pair if cell is not None]
        if len(found) == 2:
            x, y = found
            spans = (_span(x), _span(y))
            marks.append(Mark(run.name, None, x.mean, y.mean, *spans))
    return dataset, _check(marks, dataset, axes)


def marks_of_table(path: Path, axes: Axes) -> tuple[str, list[Mark]]:
    """Read the means of a sweep from its `table.csv`.

    Settings of one config that differ in a plain number are one series.

    Args:
        path: of the file; its published rows are left out.
        axes: what is wanted.

    Returns:
        Name of the set and the marks; bars are the standard deviation over
        seeds, where there is one.

    Raises:
        ValueError: no table of a sweep, no such set, or no setting has both
            metrics.
    """
    rows = _measured(path)
    dataset = _choose(list(dict.fromkeys(r['set'] for r in rows)), axes)
    scores: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        if row['set'] == dataset:
            key = (row['setting'], row['config'], row['changes'])
            scores.setdefault(key, {})[row['metric']] = row
    marks = []
    for key, metrics in scores.items():
        if axes.x in metrics and axes.y in metrics:
            marks.append(_table_mark(key, metrics[axes.x], metrics[axes.y]))
    return dataset, _check(marks, dataset, axes)


def published_marks(tables: Iterable[int], axes: Axes) -> list[Mark]:
    """Collect rows of the paper's tables 3, 4, 5 and 7.

    Args:
        tables: their numbers.
        axes: its metrics, 'LPIPS_squeeze' stands for the printed 'LPIPS'.

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
            value = _number(last)
            name = setting if value is None else head
            series = f'table {table}: {name}'
            marks.append(
                Mark(series, value, scores[x], scores[y], published=True)
            )
    return marks


def printed(metric: str) -> str:
    """Name what the paper prints for a metric of ours."""
    return metric.partition('_')[0]


def draw_tradeoff(
    measured: Sequence[Mark], published: Sequence[Mark], axes: Axes
) -> Figure:
    """Draw marks, what the paper prints hollow.

    Published marks get a panel of their own unless set and metrics are those
    of the paper: numbers of other clips are not to be read on one scale.

    Args:
        measured: from `marks_of_runs` or `marks_of_table`; may be empty.
        published: from `published_marks`; may be empty.
        axes: with the name of the set, if anything is measured.
    """
    theirs = Axes(ABLATION_SET, printed(axes.x), printed(axes.y))
    groups = [(list(measured), axes), (list(published), theirs)]
    if axes == theirs:
        groups = [([*measured, *published], axes)]
    groups = [(marks, place) for marks, place in groups if marks]
    figure, panels = new_figure(len(groups), width=5, height=4.8)
    for panel, (marks, place) in zip(panels, groups, strict=True):
        _panel(panel, marks)
        panel.set_xlabel(_label(place.x))
        panel.set_ylabel(_label(place.y))
        panel.set_title(_title(marks, place), fontsize='medium')
        panel.margins(0.12)
    return figure


def _panel(panel: Any, marks: Sequence[Mark]) -> None:
    names = dict.fromkeys(mark.series for mark in marks)
    for i, name in enumerate(names):
        own = [mark for mark in marks if mark.series == name]
        own.sort(key=lambda m: math.inf if m.value is None else m.value)
        colour, hollow = COLOURS[i % len(COLOURS)], own[0].published
        panel.errorbar(
            [m.x for m in own],
            [m.y for m in own],
            xerr=_bars([m.x_span for m in own]),
            yerr=_bars([m.y_span for m in own]),
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


def _bars(spans: Sequence[Span]) -> list[tuple[float, ...]] | None:
    """Turn spans into what matplotlib wants; None for no bars."""
    if not any(map(any, spans)):
        return None
    return list(zip(*spans, strict=True))


def _title(marks: Sequence[Mark], place: Axes) -> str:
    kinds = {mark.published for mark in marks}
    if kinds == {True}:
        return f'printed in the paper ({place.dataset}, by the numbers)'
    if len(kinds) == 2:
        return f'{place.dataset}; hollow: printed in the paper'
    return f'{place.dataset}, measured'


def _annotate(panel: Any, mark: Mark, colour: str) -> None:
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
    """Say which way is better, where it is known."""
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
            f'{path}: no table of tools/sweep.py, it has no column '
            f'{lacking[0]!r}'
        )
    return [row for row in rows if row['kind'] == 'measured']


def _table_mark(
    key: tuple[str, str, str], x: Mapping[str, str], y: Mapping[str, str]
) -> Mark:
    setting, config, changes = key
    pairs = [part.partition('=') for part in changes.split('; ') if part]
    numbers = {name: _number(text) for name, _, text in pairs}
    varied = [name for name, value in numbers.items() if value is not None]
    if varied:
        name, value = varied[0], numbers[varied[0]]
        others = [f'{k}={v}' for k, _, v in pairs if k != name]
        words = [Path(config).stem, *others, name.split('.')[-1]]
        series = ', '.join(words)
    else:
        series, value = setting, None
    spans = (_spread(x), _spread(y))
    return Mark(series, value, float(x['mean']), float(y['mean']), *spans)


def _spread(row: Mapping[str, str]) -> Span:
    spread = _number(row.get('spread') or '') or 0.0
    return spread, spread


def _span(mean: Estimate) -> Span:
    if mean.low is None or mean.high is None:
        return 0.0, 0.0
    return mean.mean - mean.low, mean.high - mean.mean


def _choose(sets: list[str], axes: Axes) -> str:
    if axes.dataset in sets:
        return str(axes.dataset)
    if axes.dataset is None and len(sets) == 1:
        return sets[0]
    given = 'none' if axes.dataset is None else repr(axes.dataset)
    raise ValueError(f'`set` must be one of {", ".join(sets)}, got {given}')


def _check(marks: list[Mark], dataset: str, axes: Axes) -> list[Mark]:
    if not marks:
        raise ValueError(f'{dataset}: nothing has both {axes.x} and {axes.y}')
    return marks


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
