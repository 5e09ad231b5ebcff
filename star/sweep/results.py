"""The scores of a sweep's runs, gathered over seeds."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from star.report.results import FORMAT, RESULTS, to_number
from star.sweep.plan import Run, Setting
from star.sweep.stages import run_folder
from star.utils.files import read_json


@dataclass
class SettingScore:
    """What a setting reaches in one metric on one set.

    Args:
        setting: which.
        dataset: name of the set.
        metric: its name.
        higher_is_better: of the metric.
        values: mean over the clips, by seed.
        clips: scored, by seed.
    """

    setting: Setting
    dataset: str
    metric: str
    higher_is_better: bool
    values: dict[int, float] = field(default_factory=dict)
    clips: dict[int, int] = field(default_factory=dict)

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return sum(self.values.values()) / len(self.values)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the seeds; None for one seed."""
        values = list(self.values.values())
        if len(values) < 2 or not all(map(math.isfinite, values)):
            return None
        return statistics.stdev(values)


@dataclass(frozen=True)
class SweepResults:
    """What is known of a sweep.

    Args:
        rows: by set, metric and setting in the order of the sweep.
        missing: names of the runs that have no scores yet.
        remarks: what a reader must know.
    """

    rows: list[SettingScore]
    missing: list[str]
    remarks: list[str]


def gather(runs: Sequence[Run], work_dir: Path) -> SweepResults:
    """Read what the tests of a sweep have written.

    Args:
        runs: of the sweep.
        work_dir: of the sweep.

    Raises:
        ValueError: a file of results is damaged.
    """
    rows: dict[tuple[str, str, str], SettingScore] = {}
    missing, prints, remarks = [], set(), []
    for run in runs:
        path = run_folder(work_dir, run) / 'test' / RESULTS
        if not path.is_file():
            missing.append(run.name)
            continue
        data = _read(path)
        prints.add(str(data['protocol'].get('fingerprint')))
        for row in _rows(run, data):
            key = (row.dataset, row.metric, row.setting.name)
            kept = rows.setdefault(key, row)
            kept.values |= row.values
            kept.clips |= row.clips
        if data['problems']:
            count = len(data['problems'])
            remarks.append(f'{run.name}: {count} problems, see {path}')
    if len(prints) > 1:
        remarks.append('the runs were not all scored on the same clips alike')
    remarks += _uneven(list(rows.values()))
    if missing:
        remarks.append(f'no scores yet: {", ".join(missing)}')
    return SweepResults(_sorted(list(rows.values())), missing, remarks)


def sets_of(results: SweepResults) -> list[str]:
    """List the sets that have scores."""
    return list(dict.fromkeys(row.dataset for row in results.rows))


def metrics_of(results: SweepResults, dataset: str) -> list[str]:
    """List the metrics that have scores on a set."""
    rows = (row for row in results.rows if row.dataset == dataset)
    return list(dict.fromkeys(row.metric for row in rows))


def settings_of(results: SweepResults) -> list[Setting]:
    """List the settings that have scores."""
    return list(dict.fromkeys(row.setting for row in results.rows))


def find_row(
    results: SweepResults, setting: Setting, dataset: str, metric: str
) -> SettingScore | None:
    """Find the scores of a setting; None where there are none."""
    wanted = (setting, dataset, metric)
    for row in results.rows:
        if (row.setting, row.dataset, row.metric) == wanted:
            return row
    return None


def _read(path: Path) -> Mapping[str, Any]:
    data = read_json(path)
    if data.get('format') != FORMAT:
        raise ValueError(f'{path}: format must be {FORMAT!r}')
    return data


def _rows(run: Run, data: Mapping[str, Any]) -> list[SettingScore]:
    better = {
        m['name']: bool(m['higher_is_better'])
        for m in data['protocol']['metrics']
    }
    rows = []
    for dataset, each in data['sets'].items():
        for metric, score in each['scores'].items():
            value = to_number(score)
            if value is None:
                continue
            row = SettingScore(run.setting, dataset, metric, better[metric])
            row.values[run.seed] = value
            row.clips[run.seed] = each['scored'][metric]
            rows.append(row)
    return rows


def _uneven(rows: Sequence[SettingScore]) -> list[str]:
    """Name the sets whose means are over different numbers of clips."""
    counts: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        found = counts.setdefault((row.dataset, row.metric), set())
        found |= set(row.clips.values())
    return [
        f'{dataset}, {metric}: between {min(found)} and {max(found)} clips '
        'have a score; their means cannot be compared'
        for (dataset, metric), found in counts.items()
        if len(found) > 1
    ]


def _sorted(rows: list[SettingScore]) -> list[SettingScore]:
    """Sort by set and metric; settings stay in the order of the sweep."""
    sets = list(dict.fromkeys(row.dataset for row in rows))
    metrics = list(dict.fromkeys(row.metric for row in rows))
    return sorted(
        rows, key=lambda r: (sets.index(r.dataset), metrics.index(r.metric))
    )
