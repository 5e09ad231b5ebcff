"""Scores of a sweep's runs, gathered over seeds."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from star.report.paper_sets import clip_facts, find_departure
from star.report.published import printed_metrics
from star.report.results import read_record, to_number
from star.report.weights import describe_random
from star.sweep.plan import Run, Setting
from star.sweep.stages import run_folder
from star.utils.problems import find_causes, list_some
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
        departures: why the paper's numbers of a set do not belong beside
            these, by set; sets that are the paper's, and those that it does
            not have, are absent.
        random: settings with random weights, and in which parts, by name.
    """

    scores: list[SettingScore]
    remarks: list[str]
    departures: dict[str, str] = field(default_factory=dict)
    random: dict[str, str] = field(default_factory=dict)

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

    def label(self, setting: Setting) -> str:
        """Return a setting's name with a remark on random weights."""
        text = self.random.get(setting.name)
        return f'{setting.name} ({text})' if text else setting.name

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
    records = {}
    for run in runs:
        path = run_folder(work_dir, run) / 'test' / RESULTS
        if not path.is_file():
            continue
        records[run] = record = read_record(path)
        for score in _scores(run, record):
            key = (score.dataset, score.metric, score.setting.name)
            kept = scores.setdefault(key, score)
            kept.values |= score.values
            kept.clips |= score.clips
    found = _sorted(list(scores.values()))
    random = {
        run.setting.name: text
        for run, record in records.items()
        if (text := describe_random(record['method']))
    }
    remarks = [*_problems(records, work_dir), *_unlike(records, found)]
    missing = [run.name for run in runs if run not in records]
    if missing:
        remarks.append(f'no scores yet: {", ".join(missing)}')
    departures = _departures(list(records.values()), found)
    return SweepResults(found, remarks, departures, random)


def _problems(
    records: Mapping[Run, ResultsRecord], work_dir: Path
) -> list[str]:
    """Count problems, once for the runs whose problems have equal causes."""
    alike: dict[tuple[str, ...], list[Run]] = {}
    for run, record in records.items():
        causes = find_causes(('', line) for line in record['problems'])
        if causes:
            texts = tuple(cause.describe() for cause in causes)
            alike.setdefault(texts, []).append(run)
    remarks = []
    for runs in alike.values():
        path = run_folder(work_dir, runs[0]) / 'test' / RESULTS
        names = runs[0].name
        if len(runs) > 1:
            names = f'{len(runs)} runs ({list_some([r.name for r in runs])})'
        count = len(records[runs[0]]['problems'])
        each = ' each' if len(runs) > 1 else ''
        remarks.append(f'{names}: {count} problems{each}, see {path}')
    return remarks


def _unlike(
    records: Mapping[Run, ResultsRecord], scores: Sequence[SettingScore]
) -> list[str]:
    """Say in what the tests of the runs differ."""
    protocols = [record['protocol'] for record in records.values()]
    fingerprints = {str(each.get('fingerprint')) for each in protocols}
    remarks = _uneven(scores)
    if len(fingerprints) > 1:
        remarks.insert(0, 'not all runs have the same clips and metrics')
    return remarks


def _departures(
    records: Sequence[ResultsRecord], scores: Sequence[SettingScore]
) -> dict[str, str]:
    """Say of each set how it differs from the paper's set of that name."""
    found = {}
    for dataset in dict.fromkeys(score.dataset for score in scores):
        printed = printed_metrics(dataset)
        counts = [
            count
            for score in scores
            if score.dataset == dataset and score.metric in printed
            for count in score.clips.values()
        ]
        facts = [
            clip_facts(clip)
            for record in records
            for clip in record['clips']
            if clip['dataset'] == dataset
        ]
        found[dataset] = find_departure(dataset, counts, facts)
    return {dataset: text for dataset, text in found.items() if text}


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
    """Name sets and metrics whose means are over different clip counts."""
    counts: dict[tuple[str, str], set[int]] = {}
    for score in scores:
        found = counts.setdefault((score.dataset, score.metric), set())
        found |= set(score.clips.values())
    alike: dict[tuple[str, int, int], list[str]] = {}
    for (dataset, metric), found in counts.items():
        if len(found) > 1:
            key = (dataset, min(found), max(found))
            alike.setdefault(key, []).append(metric)
    return [
        f'{dataset}, {", ".join(metrics)}: between {low} and {high} clips '
        'have a score; the means cannot be compared'
        for (dataset, low, high), metrics in alike.items()
    ]


def _sorted(scores: list[SettingScore]) -> list[SettingScore]:
    """Sort by set and metric; settings stay in the order of the sweep."""
    sets = list(dict.fromkeys(score.dataset for score in scores))
    metrics = list(dict.fromkeys(score.metric for score in scores))
    return sorted(
        scores,
        key=lambda s: (sets.index(s.dataset), metrics.index(s.metric)),
    )
