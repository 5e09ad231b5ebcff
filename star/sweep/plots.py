"""Plots of the metrics against each number that a sweep varies."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

from matplotlib.axes import Axes

from star.report.figures import COLOURS, SHAPES, new_figure, to_png
from star.report.published import (
    ABLATION_SET,
    load_ablations,
    published_ablations,
)
from star.sweep.plan import Setting
from star.sweep.results import SweepResults
from star.utils.files import csv_text
from star.utils.text import read_number


@dataclass(frozen=True)
class Point:
    """One mean in a plot.

    Args:
        value: of the varied number.
        series: the other changes, or ''.
        metric: name of the metric.
        mean: over seeds.
        spread: sample standard deviation over seeds; None if unknown.
        seeds: number of seeds; 0 for the paper's number.
    """

    value: float
    series: str
    metric: str
    mean: float
    spread: float | None
    seeds: int


_COLUMNS = tuple(field.name for field in fields(Point))


def swept_keys(settings: Sequence[Setting]) -> list[str]:
    """Return the keys that have at least two numbers as values."""
    keys = dict.fromkeys(k for s in settings for k, _ in s.changes)
    found = []
    for key in keys:
        texts = [dict(s.changes).get(key) for s in settings]
        values = [None if t is None else read_number(t) for t in texts]
        if None not in values and len(set(values)) > 1:
            found.append(key)
    return found


def make_plots(results: SweepResults) -> dict[tuple[str, str], list[Point]]:
    """Return the points of each plot, by varied key and set."""
    settings = results.settings()
    return {
        (key, dataset): _points(results, settings, key, dataset)
        for key in swept_keys(settings)
        for dataset in results.sets()
    }


def to_csv(points: Sequence[Point]) -> str:
    """Return the numbers of a plot, a line for each point."""
    return csv_text([_COLUMNS, *map(astuple, points)])


def draw(key: str, dataset: str, points: Sequence[Point]) -> bytes:
    """Draw a plot with a panel for each metric and bars for the spread.

    Args:
        key: of the varied number.
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
    """Draw one metric; the paper's points are hollow."""
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
        for metric in results.metrics(dataset):
            if score := results.find(setting, dataset, metric):
                means = (score.mean, score.spread, len(score.values))
                points.append(Point(value, series, metric, *means))
        if dataset == ABLATION_SET and dataset not in results.departures:
            points += _printed(setting, value)
    return points


def _printed(setting: Setting, value: float) -> list[Point]:
    rows = published_ablations(setting.config, dict(setting.changes))
    return [
        Point(value, f'published, table {row[0]}', metric, mean, None, 0)
        for row in rows
        for metric, mean in load_ablations()[row].items()
    ]
