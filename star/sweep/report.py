"""Report of a sweep: tables, a page, plots and their numbers."""

import re
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from star.sweep import plots, tables
from star.sweep.plan import Run
from star.sweep.results import SweepResults, gather
from star.utils.files import write_bytes, write_text

PAGE = 'index.html'


def write_report(runs: Sequence[Run], work_dir: Path) -> SweepResults:
    """Gather the scores and replace the files of the folder `report`.

    Jobs that end together take turns, so that the last report is complete.

    Args:
        runs: of the sweep.
        work_dir: of the sweep.

    Returns:
        The scores; without any, nothing is written.

    Raises:
        ValueError: a results.json is damaged.
    """
    folder = work_dir / 'report'
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / '.lock'):
        results = gather(runs, work_dir)
        if results.scores:
            _write(results, runs, folder)
    return results


def _write(results: SweepResults, runs: Sequence[Run], folder: Path) -> None:
    settings = list(dict.fromkeys(run.setting for run in runs))
    pictures = {}
    for (key, dataset), points in plots.make_plots(results).items():
        stem = re.sub(r'[^\w.-]+', '_', f'{key.split(".")[-1]}_{dataset}')
        png = plots.draw(key, dataset, points)
        pictures[f'{dataset}: {key}'] = png
        write_bytes(folder / f'{stem}.png', png)
        write_text(folder / f'{stem}.csv', plots.to_csv(points))
    texts = {
        'table.csv': tables.to_csv(results, settings),
        'runs.csv': tables.to_runs_csv(results),
        'table.md': tables.to_markdown(results, settings),
        PAGE: tables.to_page(results, settings, pictures),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
