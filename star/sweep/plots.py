"""A plot for each number that a sweep varies: metrics against its value."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from star.report.figures import COLOURS, SHAPES, new_figure, to_png
from star.report.published import (
    ABLATION_SET,
    load_ablations,
    published_ablations,
)
from star.sweep.plan import Setting, number
from star.sweep.results import (
    SweepResults,
    find_row,
    metrics_of,
    sets_of,
    settings_of,
)

_COLUMNS = ('value', 'series', 'metric', 'mean', 'spread', 'seeds')


@dataclass(frozen=True)
class Point:
    """One mean.

    Args:
        value: of the swept number.
        series: what else was changed; '' for nothing.
        metric: its name.
        mean: over seeds.
        spread: sample standard deviation over seeds, or None.
        seeds: how many; 0 for a number that the paper prints.
    """

    value: float
    series: str
    metric: str
    mean: float
    spread: float | None
    seeds: int


def swept_keys(settings: Sequence[Setting]) -> list[str]:
    """List the keys that take two plain numbers or more."""
    keys = dict.fromkeys(k for s in settings for k, _ in s.changes)
    found = []
    for key in keys:
        texts = [dict(s.changes).get(key) for s in settings]
        values = [None if t is None else number(t) for t in texts]
        if None not in values and len(set(values)) > 1:
            found.append(key)
    return found


def make_plots(results: SweepResults) -> dict[tuple[str, str], list[Point]]:
    """Collect the points of each plot, by swept key and set."""
    settings = settings_of(results)
    return {
        (key, dataset): _points(results, settings, key, dataset)
        for key in swept_keys(settings)
        for dataset in sets_of(results)
    }


def to_csv(points: Sequence[Point]) -> str:
    """Write the numbers of a plot."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(_COLUMNS)
    writer.writerows([getattr(p, c) for c in _COLUMNS] for p in points)
    return text.getvalue()


def draw(key: str, dataset: str, points: Sequence[Point]) -> bytes:
    """Draw a plot: a panel for each metric, bars for the spread.

    Args:
        key: of the swept number.
        dataset: name of the set.
        points: from `make_plots`.

    Returns:
        A PNG file.
    """
    metrics = list(dict.fromkeys(p.metric for p in points if p.seeds))
    figure, panels = new_figure(len(metrics))
    for panel, metric in zip(panels, metrics, strict=True):
        _panel(panel, [p for p in points if p.metric == metric])
        panel.set_xlabel(key.removeprefix('model.'))
        panel.set_ylabel(metric)
    figure.suptitle(f'{dataset}: mean and standard deviation over seeds')
    handles, labels = panels[0].get_legend_handles_labels()
    if len(labels) > 1 or labels != ['measured']:
        figure.legend(handles, labels, loc='outside lower center', ncols=2)
    return to_png(figure)


def _panel(panel: Axes, points: Sequence[Point]) -> None:
    """Draw one metric; what the paper prints is hollow."""
    names = list(dict.fromkeys((p.series, bool(p.seeds)) for p in points))
    for index, (series, measured) in enumerate(names):
        found = sorted(
            (p for p in points if (p.series, bool(p.seeds)) == names[index]),
            key=lambda p: p.value,
        )
        colour = COLOURS[index % len(COLOURS)]
        panel.errorbar(
            [p.value for p in found],
            [p.mean for p in found],
            yerr=_bars(found),
            label=series or 'measured',
            color=colour,
            marker=SHAPES[index % len(SHAPES)],
            markerfacecolor=colour if measured else 'none',
            linestyle='-' if measured else ':',
            capsize=4,
        )


def _bars(points: Sequence[Point]) -> list[float] | None:
    spreads = [p.spread for p in points]
    return [s or 0.0 for s in spreads] if any(spreads) else None


def _points(
    results: SweepResults, settings: Sequence[Setting], key: str, dataset: str
) -> list[Point]:
    points = []
    for setting in settings:
        changes = dict(setting.changes)
        value = float(changes.pop(key))
        series = ', '.join(f'{k}={v}' for k, v in changes.items())
        for metric in metrics_of(results, dataset):
            row = find_row(results, setting, dataset, metric)
            if row is not None:
                seeds = len(row.values)
                points.append(
                    Point(value, series, metric, row.mean, row.spread, seeds)
                )
        if dataset == ABLATION_SET:
            points += _printed(setting, value)
    return points


def _printed(setting: Setting, value: float) -> list[Point]:
    places = published_ablations(setting.config, dict(setting.changes))
    return [
        Point(value, f'published, table {place[0]}', metric, mean, None, 0)
        for place in places
        for metric, mean in load_ablations()[place].items()
    ]
