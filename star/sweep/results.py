"""Scores of a sweep's runs, gathered over seeds."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from star.report.results import read_record, to_number
from star.sweep.plan import Run, Setting
from star.sweep.stages import run_folder
from star.utils.results_format import RESULTS, ResultsRecord


@dataclass
class SettingScore:
    """A setting's score in one metric on one set.

    Args:
        setting: of the sweep.
        dataset: name of the set.
        metric: name of the metric.
        higher_is_better: of the metric.
        values: mean over the clips, by seed.
        clips: number of scored clips, by seed.
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
    """All scores of a sweep.

    Args:
        scores: by set, metric and setting in the order of the sweep.
        remarks: warnings for the reader of the tables.
    """

    scores: list[SettingScore]
    remarks: list[str]

    def sets(self) -> list[str]:
        """Return the sets that have scores."""
        return list(dict.fromkeys(score.dataset for score in self.scores))

    def metrics(self, dataset: str) -> list[str]:
        """Return the metrics that have scores on a set."""
        scores = (score for score in self.scores if score.dataset == dataset)
        return list(dict.fromkeys(score.metric for score in scores))

    def settings(self) -> list[Setting]:
        """Return the settings that have scores."""
        return list(dict.fromkeys(score.setting for score in self.scores))

    def find(
        self, setting: Setting, dataset: str, metric: str
    ) -> SettingScore | None:
        """Return the score of a setting; None if there is none."""
        wanted = (setting, dataset, metric)
        for score in self.scores:
            if (score.setting, score.dataset, score.metric) == wanted:
                return score
        return None


def gather(runs: Sequence[Run], work_dir: Path) -> SweepResults:
    """Read the scores that the tests of a sweep have written.

    Args:
        runs: of the sweep.
        work_dir: of the sweep.

    Raises:
        ValueError: a results.json is damaged.
    """
    scores: dict[tuple[str, str, str], SettingScore] = {}
    missing, fingerprints, remarks = [], set(), []
    for run in runs:
        path = run_folder(work_dir, run) / 'test' / RESULTS
        if not path.is_file():
            missing.append(run.name)
            continue
        record = read_record(path)
        fingerprints.add(str(record['protocol'].get('fingerprint')))
        for score in _scores(run, record):
            key = (score.dataset, score.metric, score.setting.name)
            kept = scores.setdefault(key, score)
            kept.values |= score.values
            kept.clips |= score.clips
        if record['problems']:
            count = len(record['problems'])
            remarks.append(f'{run.name}: {count} problems, see {path}')
    if len(fingerprints) > 1:
        remarks.append('not all runs have the same clips and metrics')
    remarks += _uneven(list(scores.values()))
    if missing:
        remarks.append(f'no scores yet: {", ".join(missing)}')
    return SweepResults(_sorted(list(scores.values())), remarks)


def _scores(run: Run, record: ResultsRecord) -> Iterator[SettingScore]:
    better = {
        m['name']: bool(m['higher_is_better'])
        for m in record['protocol']['metrics']
    }
    for dataset, each in record['sets'].items():
        for metric, score in each['scores'].items():
            value = to_number(score)
            if value is not None:
                yield SettingScore(
                    run.setting,
                    dataset,
                    metric,
                    better[metric],
                    {run.seed: value},
                    {run.seed: each['scored'][metric]},
                )


def _uneven(scores: Sequence[SettingScore]) -> list[str]:
    """Name the sets whose means are over different numbers of clips."""
    counts: dict[tuple[str, str], set[int]] = {}
    for score in scores:
        found = counts.setdefault((score.dataset, score.metric), set())
        found |= set(score.clips.values())
    return [
        f'{dataset}, {metric}: between {min(found)} and {max(found)} clips '
        'have a score; the means cannot be compared'
        for (dataset, metric), found in counts.items()
        if len(found) > 1
    ]


def _sorted(scores: list[SettingScore]) -> list[SettingScore]:
    """Sort by set and metric; settings stay in the order of the sweep."""
    sets = list(dict.fromkeys(score.dataset for score in scores))
    metrics = list(dict.fromkeys(score.metric for score in scores))
    return sorted(
        scores,
        key=lambda s: (sets.index(s.dataset), metrics.index(s.metric)),
    )
