"""The tables of a sweep: CSV, Markdown and one page, the paper's rows beside.

Published rows are marked as such everywhere and are never averaged.
"""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from star.report.comparison import digits_of
from star.report.markdown import escape as escape_markdown
from star.report.markdown import markdown_table
from star.report.page import html_page, html_table
from star.report.published import (
    ABLATION_SET,
    PaperRow,
    load_ablations,
    published_ablations,
)
from star.report.statistics import ranks
from star.report.tables import NOTHING, Item, Table, number
from star.sweep.plan import Setting
from star.sweep.results import (
    SettingScore,
    SweepResults,
    find_row,
    metrics_of,
    sets_of,
    settings_of,
)

COLUMNS = (
    *('setting', 'config', 'changes', 'kind', 'set', 'metric'),
    *('mean', 'spread', 'seeds'),
)
EXPLANATION = (
    'Mean over the seeds of the mean over the clips; ± is the sample standard '
    'deviation over seeds, absent for one seed; in brackets the number of '
    'seeds. It says how far repeated trainings lie apart, not how far other '
    'clips would. Bold and underlined are the best and second best means, '
    'also where they lie closer together than the seeds do. Rows in italics '
    'are numbers that the paper prints, not measured here.'
)


def to_csv(results: SweepResults, settings: Sequence[Setting]) -> str:
    """Write a line for each setting, set and metric, then the paper's rows.

    Args:
        results: of the sweep.
        settings: all of the sweep, also those without scores.
    """
    lines: list[Sequence[object]] = [COLUMNS]
    for row in results.rows:
        seeds = len(row.values)
        scores = (row.mean, row.spread, seeds)
        lines.append([*_facts(row.setting), 'measured', *_place(row), *scores])
    for setting in settings:
        for place in _published(setting):
            source = f'published, {_name(place)}'
            for metric, value in load_ablations()[place].items():
                where = (source, 'not stated', metric, value, None, None)
                lines.append([*_facts(setting), *where])
    return _csv(lines)


def to_runs_csv(results: SweepResults) -> str:
    """Write a line for each run, set and metric."""
    lines: list[Sequence[object]] = [
        ['setting', 'seed', 'set', 'metric', 'value', 'clips']
    ]
    for row in results.rows:
        for seed, value in sorted(row.values.items()):
            where = _place(row)
            lines.append(
                [row.setting.name, seed, *where, value, row.clips[seed]]
            )
    return _csv(lines)


def to_markdown(results: SweepResults, settings: Sequence[Setting]) -> str:
    """Write the tables as Markdown; arguments as for `to_csv`."""
    blocks = ['# Sweep', EXPLANATION]
    if results.remarks:
        lines = [f'- {escape_markdown(text)}' for text in results.remarks]
        blocks.append('\n'.join(lines))
    for table in make_tables(results, settings):
        blocks += [f'## {escape_markdown(table.title)}']
        blocks.append(markdown_table(table))
    return '\n\n'.join(blocks) + '\n'


def to_page(
    results: SweepResults,
    settings: Sequence[Setting],
    plots: Mapping[str, bytes],
) -> str:
    """Write the tables and the plots as one page that loads nothing.

    Args:
        results: as for `to_csv`.
        settings: likewise.
        plots: PNG files by what they show.
    """
    body = [f'<h1>Sweep</h1><p>{escape(EXPLANATION)}</p>']
    if results.remarks:
        items = ''.join(f'<li>{escape(text)}</li>' for text in results.remarks)
        body.append(f'<section class="remarks"><ul>{items}</ul></section>')
    body += [html_table(table) for table in make_tables(results, settings)]
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
    """Make the tables of scores, of differences and of printed numbers."""
    tables = []
    for dataset in sets_of(results):
        tables.append(_scores(results, dataset))
        differences = _differences(results, dataset)
        tables += [differences] if differences else []
    printed = _printed(settings)
    return [*tables, printed] if printed else tables


def _scores(results: SweepResults, dataset: str) -> Table:
    metrics = metrics_of(results, dataset)
    order = {m: _ranks(results, dataset, m) for m in metrics}
    rows = []
    for setting in settings_of(results):
        cells = [Item(setting.name)]
        for metric in metrics:
            row = find_row(results, setting, dataset, metric)
            cells.append(_cell(row, order[metric]))
        rows.append(cells)
        if dataset == ABLATION_SET:
            rows += [_printed_row(p, metrics) for p in _published(setting)]
    head = ['setting', *(_head(results, dataset, m) for m in metrics)]
    return Table(dataset, head, rows)


def _differences(results: SweepResults, dataset: str) -> Table | None:
    """Compare with the first setting, seed by seed; None without others."""
    first, *others = settings_of(results)
    metrics = metrics_of(results, dataset)
    rows = []
    for setting in others:
        cells = [Item(setting.name)]
        for metric in metrics:
            base = find_row(results, first, dataset, metric)
            row = find_row(results, setting, dataset, metric)
            cells.append(_difference(row, base))
        rows.append(cells)
    if not rows:
        return None
    head = ['setting', *(_head(results, dataset, m) for m in metrics)]
    title = f'{dataset}: difference to {first.name}, seed by seed'
    return Table(title, head, rows)


def _printed(settings: Sequence[Setting]) -> Table | None:
    """Collect what the paper printed for the settings of a sweep."""
    pairs = [(s, place) for s in settings for place in _published(s)]
    if not pairs:
        return None
    metrics = list(dict.fromkeys(m for _, p in pairs for m in _of(p)))
    rows = [
        [Item(setting.name), *_printed_row(place, metrics)]
        for setting, place in pairs
    ]
    title = (
        'As printed in the paper (published, not measured; data set not '
        f'stated, {ABLATION_SET} by the numbers)'
    )
    return Table(title, ['setting', 'row of the paper', *metrics], rows)


def _ranks(results: SweepResults, dataset: str, metric: str) -> dict[str, int]:
    rows = [
        row
        for row in results.rows
        if (row.dataset, row.metric) == (dataset, metric)
    ]
    if len(rows) < 2:
        return {}
    means = {row.setting.name: row.mean for row in rows}
    return ranks(means, rows[0].higher_is_better, digits_of(metric))


def _cell(row: SettingScore | None, order: Mapping[str, int]) -> Item:
    if row is None:
        return Item(NOTHING)
    digits = digits_of(row.metric)
    rank = order.get(row.setting.name, 0)
    mark = {1: 'best', 2: 'second'}.get(rank, '')
    return Item(number(row.mean, digits), _note(row, digits), mark)


def _note(row: SettingScore, digits: int) -> str:
    count = f'({len(row.values)})'
    spread = row.spread
    return count if spread is None else f'± {spread:.{digits}f} {count}'


def _difference(row: SettingScore | None, base: SettingScore | None) -> Item:
    if row is None or base is None:
        return Item(NOTHING)
    shared = row.values.keys() & base.values.keys()
    if not shared:
        return Item(NOTHING)
    gains = {seed: row.values[seed] - base.values[seed] for seed in shared}
    found = SettingScore(*_place_of(row), row.higher_is_better, gains)
    digits = digits_of(row.metric)
    return Item(f'{found.mean:+.{digits}f}', _note(found, digits))


def _place_of(row: SettingScore) -> tuple[Setting, str, str]:
    return row.setting, row.dataset, row.metric


def _printed_row(place: PaperRow, metrics: Sequence[str]) -> list[Item]:
    scores = _of(place)
    cells = [
        Item(number(scores.get(m), digits_of(m)), mark='printed')
        for m in metrics
    ]
    return [Item(f'{_name(place)}, published', mark='printed'), *cells]


def _of(place: PaperRow) -> dict[str, float]:
    return load_ablations()[place]


def _name(place: PaperRow) -> str:
    return f'table {place[0]}: {place[1]}'


def _published(setting: Setting) -> list[PaperRow]:
    return published_ablations(setting.config, dict(setting.changes))


def _head(results: SweepResults, dataset: str, metric: str) -> str:
    higher = next(
        row.higher_is_better
        for row in results.rows
        if (row.dataset, row.metric) == (dataset, metric)
    )
    return f'{metric} {"↑" if higher else "↓"}'


def _facts(setting: Setting) -> tuple[str, str, str]:
    changes = '; '.join(f'{k}={v}' for k, v in setting.changes)
    return setting.name, Path(setting.config).as_posix(), changes


def _place(row: SettingScore) -> tuple[str, str]:
    return row.dataset, row.metric


def _csv(lines: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(lines)
    return text.getvalue()
