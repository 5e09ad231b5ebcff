"""Tables of a sweep as CSV, as Markdown and as a page.

The paper's rows are marked as published in all of them, and never averaged.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

from star.report.comparison import digits_of
from star.report.markdown import escape as escape_markdown
from star.report.markdown import markdown_table
from star.report.page import html_page, html_table
from star.report.paper_sets import DEPARTURE
from star.report.published import (
    ABLATION_SET,
    PaperRow,
    load_ablations,
    published_ablations,
)
from star.report.statistics import ranks
from star.report.tables import NOTHING, Item, Table, number
from star.sweep.plan import Setting
from star.sweep.results import SettingScore, SweepResults
from star.utils.files import csv_text

COLUMNS = (
    *('setting', 'config', 'changes', 'kind', 'set', 'metric'),
    *('mean', 'spread', 'seeds', 'random', DEPARTURE),
)
EXPLANATION = (
    'Mean over the seeds of the mean over the clips. ± is the sample standard '
    'deviation over seeds, absent for one seed; the number of seeds is in '
    'brackets. The deviation shows how much repeated trainings differ, not '
    'how much other clips would. The best mean is bold and the second best '
    'underlined, even if they differ less than the seeds do. Rows in italics '
    "are the paper's numbers, not measured here."
)


def to_csv(results: SweepResults, settings: Sequence[Setting]) -> str:
    """Return a line for each setting, set and metric, then the paper's rows.

    Args:
        results: of the sweep.
        settings: all of the sweep, also those without scores.
    """
    lines: list[Sequence[object]] = [COLUMNS]
    for score in results.scores:
        facts = (*_facts(score.setting), 'measured')
        values = (score.mean, score.spread, len(score.values))
        notes = (
            results.random.get(score.setting.name),
            results.departures.get(score.dataset),
        )
        lines.append([*facts, score.dataset, score.metric, *values, *notes])
    for setting in [] if ABLATION_SET in results.departures else settings:
        for row in _published(setting):
            facts = (*_facts(setting), f'published, {_name(row)}')
            for metric, value in load_ablations()[row].items():
                where = ('not stated', metric)
                lines.append([*facts, *where, value, *[None] * 4])
    return csv_text(lines)


def to_runs_csv(results: SweepResults) -> str:
    """Return a line for each run, set and metric."""
    lines: list[Sequence[object]] = [
        ['setting', 'seed', 'set', 'metric', 'value', 'clips']
    ]
    for score in results.scores:
        where = (score.dataset, score.metric)
        for seed, value in sorted(score.values.items()):
            values = (*where, value, score.clips[seed])
            lines.append([score.setting.name, seed, *values])
    return csv_text(lines)


def to_markdown(results: SweepResults, settings: Sequence[Setting]) -> str:
    """Return the tables as Markdown; arguments as for `to_csv`."""
    blocks = ['# Sweep', EXPLANATION]
    for table in make_tables(results, settings):
        blocks += [f'## {escape_markdown(table.title)}']
        blocks.append(markdown_table(table))
    if results.remarks:
        lines = [f'- {escape_markdown(text)}' for text in results.remarks]
        blocks += ['## Warnings', '\n'.join(lines)]
    return '\n\n'.join(blocks) + '\n'


def to_page(
    results: SweepResults,
    settings: Sequence[Setting],
    plots: Mapping[str, bytes],
) -> str:
    """Return the tables and plots as one page that loads no other file.

    Args:
        results: of the sweep.
        settings: all of the sweep, also those without scores.
        plots: PNG files by title.
    """
    body = [f'<h1>Sweep</h1><p>{escape(EXPLANATION)}</p>']
    body += [html_table(table) for table in make_tables(results, settings)]
    if results.remarks:
        items = ''.join(f'<li>{escape(text)}</li>' for text in results.remarks)
        body.append(f'<section class="remarks"><ul>{items}</ul></section>')
    for title, png in plots.items():
        data = base64.b64encode(png).decode()
        name = escape(title, quote=True)
        body.append(
            f'<figure><img style="max-width:100%" alt="{name}" '
            f'src="data:image/png;base64,{data}">'
            f'<figcaption>{name}</figcaption></figure>'
        )
    return html_page('Sweep', ''.join(body))


def make_tables(
    results: SweepResults, settings: Sequence[Setting]
) -> list[Table]:
    """Return the tables of scores, differences and the paper's numbers."""
    tables = []
    for dataset in results.sets():
        tables.append(_scores(results, dataset))
        differences = _differences(results, dataset)
        tables += [differences] if differences else []
    printed = None
    if ABLATION_SET not in results.departures:
        printed = _printed(settings)
    return [*tables, printed] if printed else tables


def _scores(results: SweepResults, dataset: str) -> Table:
    metrics = results.metrics(dataset)
    order = {m: _ranks(results, dataset, m) for m in metrics}
    rows = []
    for setting in results.settings():
        cells = [Item(results.label(setting))]
        for metric in metrics:
            score = results.find(setting, dataset, metric)
            cells.append(_cell(score, order[metric]))
        rows.append(cells)
        if dataset == ABLATION_SET and dataset not in results.departures:
            rows += [_printed_row(r, metrics) for r in _published(setting)]
    head = ['setting', *(_head(results, dataset, m) for m in metrics)]
    remark = results.departures.get(dataset, '')
    return Table(dataset, head, rows, remark=remark)


def _differences(results: SweepResults, dataset: str) -> Table | None:
    """Compare with the first setting, seed by seed; None without others."""
    first, *others = results.settings()
    metrics = results.metrics(dataset)
    rows = []
    for setting in others:
        cells = [Item(results.label(setting))]
        for metric in metrics:
            base = results.find(first, dataset, metric)
            score = results.find(setting, dataset, metric)
            cells.append(_difference(score, base))
        rows.append(cells)
    if not rows:
        return None
    head = ['setting', *(_head(results, dataset, m) for m in metrics)]
    title = f'{dataset}: difference to {first.name}, seed by seed'
    return Table(title, head, rows)


def _printed(settings: Sequence[Setting]) -> Table | None:
    """Return the paper's numbers for the settings; None without any."""
    pairs = [(each, row) for each in settings for row in _published(each)]
    if not pairs:
        return None
    paper = load_ablations()
    metrics = list(dict.fromkeys(m for _, row in pairs for m in paper[row]))
    rows = [
        [Item(setting.name), *_printed_row(row, metrics)]
        for setting, row in pairs
    ]
    title = (
        'As printed in the paper (published, not measured; data set not '
        f'stated, {ABLATION_SET} by the numbers)'
    )
    return Table(title, ['setting', 'row of the paper', *metrics], rows)


def _ranks(results: SweepResults, dataset: str, metric: str) -> dict[str, int]:
    scores = _of_metric(results, dataset, metric)
    if len(scores) < 2:
        return {}
    means = {score.setting.name: score.mean for score in scores}
    return ranks(means, scores[0].higher_is_better, digits_of(metric))


def _cell(score: SettingScore | None, order: Mapping[str, int]) -> Item:
    if score is None:
        return Item(NOTHING)
    digits = digits_of(score.metric)
    rank = order.get(score.setting.name, 0)
    mark = {1: 'best', 2: 'second'}.get(rank, '')
    return Item(number(score.mean, digits), _note(score, digits), mark)


def _note(score: SettingScore, digits: int) -> str:
    count = f'({len(score.values)})'
    spread = score.spread
    return count if spread is None else f'± {spread:.{digits}f} {count}'


def _difference(score: SettingScore | None, base: SettingScore | None) -> Item:
    if score is None or base is None:
        return Item(NOTHING)
    shared = score.values.keys() & base.values.keys()
    if not shared:
        return Item(NOTHING)
    gains = {seed: score.values[seed] - base.values[seed] for seed in shared}
    found = replace(score, values=gains)
    digits = digits_of(score.metric)
    return Item(f'{found.mean:+.{digits}f}', _note(found, digits))


def _printed_row(row: PaperRow, metrics: Sequence[str]) -> list[Item]:
    scores = load_ablations()[row]
    cells = [
        Item(number(scores.get(m), digits_of(m)), mark='printed')
        for m in metrics
    ]
    return [Item(f'{_name(row)}, published', mark='printed'), *cells]


def _name(row: PaperRow) -> str:
    return f'table {row[0]}: {row[1]}'


def _published(setting: Setting) -> list[PaperRow]:
    return published_ablations(setting.config, dict(setting.changes))


def _head(results: SweepResults, dataset: str, metric: str) -> str:
    higher = _of_metric(results, dataset, metric)[0].higher_is_better
    return f'{metric} {"↑" if higher else "↓"}'


def _of_metric(
    results: SweepResults, dataset: str, metric: str
) -> list[SettingScore]:
    """Return the scores of all settings in one metric on one set."""
    return [
        score
        for score in results.scores
        if (score.dataset, score.metric) == (dataset, metric)
    ]


def _facts(setting: Setting) -> tuple[str, str, str]:
    changes = '; '.join(f'{k}={v}' for k, v in setting.changes)
    return setting.name, Path(setting.config).as_posix(), changes
