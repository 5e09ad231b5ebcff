"""Methods side by side: means over the clips that all of them have."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from star.report.runs import Run
from star.report.statistics import (
    Estimate,
    estimate,
    paired_difference,
    ranks,
)

T = TypeVar('T', bound=Hashable)

# digits printed after the decimal point, by the first part of a metric's name
DIGITS = {
    'PSNR': 2,
    'SSIM': 4,
    'LPIPS': 4,
    'DOVER': 4,
    'Ewarp': 2,
    'NIQE': 2,
    'ILNIQE': 2,
}


def digits_of(metric: str) -> int:
    """Say how many digits of a metric are printed."""
    return DIGITS.get(metric.split('_')[0], 4)


@dataclass(frozen=True)
class Cell:
    """What one method reaches in one metric on one set.

    Args:
        estimate: over the clips that all methods share.
        rank: 1 for the best; None where ranking would not be fair.
        difference: to the reference, over the clips that both have; None for
            the reference itself and without shared clips.
    """

    estimate: Estimate
    rank: int | None
    difference: Estimate | None


@dataclass(frozen=True)
class SetComparison:
    """All methods on one set.

    Args:
        name: of the set.
        methods: in the order given, those that have clips of it.
        metrics: those with at least one score.
        shared: by metric, the clips that all methods with that metric have.
        cells: by method and metric.
    """

    name: str
    methods: list[str]
    metrics: list[str]
    shared: dict[str, list[str]]
    cells: dict[tuple[str, str], Cell]


@dataclass(frozen=True)
class Comparison:
    """Several methods on several sets.

    Args:
        runs: by method.
        reference: method that differences are taken to.
        sets: in order of appearance.
        higher_is_better: by metric.
        seed: of the bootstrap.
    """

    runs: dict[str, Run]
    reference: str
    sets: list[SetComparison]
    higher_is_better: dict[str, bool]
    seed: int


def compare(
    runs: list[Run], reference: str | None = None, seed: int = 0
) -> Comparison:
    """Compare runs.

    Args:
        runs: of distinct names, at least one.
        reference: name of one; None for the first.
        seed: of the bootstrap.

    Raises:
        ValueError: unknown reference, nothing that two runs share, or runs
            that disagree on what is better.
    """
    by_name = {run.name: run for run in runs}
    reference = runs[0].name if reference is None else reference
    if reference not in by_name:
        known = ', '.join(by_name)
        raise ValueError(
            f'`reference` must be one of {known}, got {reference!r}'
        )
    higher = _directions(runs)
    names = unique(dataset for run in runs for dataset, _ in run.clips)
    sets = [
        _compare_set(name, runs, reference, higher, seed) for name in names
    ]
    if len(runs) > 1 and not any(_is_shared(table, runs) for table in sets):
        listed = ', '.join(by_name)
        raise ValueError(f'{listed}: no clip is scored alike in two of them')
    return Comparison(by_name, reference, sets, higher, seed)


def unique(values: Iterable[T]) -> list[T]:
    """Keep the first of equals."""
    return list(dict.fromkeys(values))


def _directions(runs: list[Run]) -> dict[str, bool]:
    higher: dict[str, bool] = {}
    for run in runs:
        for metric in run.protocol['metrics']:
            name, better = metric['name'], bool(metric['higher_is_better'])
            if higher.setdefault(name, better) != better:
                raise ValueError(
                    f'{run.folder}: {name} is better '
                    f'{"higher" if better else "lower"}, unlike before'
                )
    return higher


def _compare_set(
    name: str,
    runs: list[Run],
    reference: str,
    higher: dict[str, bool],
    seed: int,
) -> SetComparison:
    members = [r for r in runs if any(key[0] == name for key in r.clips)]
    cells: dict[tuple[str, str], Cell] = {}
    shared: dict[str, list[str]] = {}
    for metric, better in higher.items():
        found = {r.name: r.scores(name, metric) for r in members}
        found = {method: scores for method, scores in found.items() if scores}
        if not found:
            continue
        shared[metric] = _in_all(found)
        means = _estimates(found, shared[metric], seed)
        order = _ranks(means, metric, better, runs if shared[metric] else [])
        base = found.get(reference, {})
        for method, mean in means.items():
            difference = None
            if method != reference:
                difference = paired_difference(found[method], base, seed)
            cells[method, metric] = Cell(mean, order.get(method), difference)
    methods = [run.name for run in members]
    return SetComparison(name, methods, list(shared), shared, cells)


def _in_all(found: dict[str, dict[str, float]]) -> list[str]:
    first, *others = found.values()
    return [name for name in first if all(name in s for s in others)]


def _estimates(
    found: dict[str, dict[str, float]], shared: list[str], seed: int
) -> dict[str, Estimate]:
    """Average over the shared clips; over a method's own if there are none."""
    return {
        method: estimate([scores[n] for n in shared or scores], seed)
        for method, scores in found.items()
    }


def _ranks(
    means: dict[str, Estimate], metric: str, better: bool, runs: list[Run]
) -> dict[str, int]:
    """Rank what is trained, if there is more than one to rank."""
    values = {
        run.name: means[run.name].mean
        for run in runs
        if run.name in means and not run.random
    }
    if len(values) < 2:
        return {}
    return ranks(values, better, digits_of(metric))


def _is_shared(table: SetComparison, runs: list[Run]) -> bool:
    """Whether two methods have a score of one clip."""
    for metric in table.metrics:
        owners = [list(run.scores(table.name, metric)) for run in runs]
        names = [name for names in owners for name in names]
        if len(names) > len(set(names)):
            return True
    return False
