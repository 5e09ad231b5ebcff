"""Methods side by side: means over the clips that all of them have."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from star.report.paper_sets import ClipFacts, find_departure
from star.report.published import load_published, printed_metrics
from star.report.results import MethodResults
from star.report.statistics import (
    ClipMean,
    mean_over_clips,
    paired_difference,
    ranks,
)

T = TypeVar('T', bound=Hashable)
Scores = dict[str, dict[str, float]]  # of one metric: by method and clip

# digits printed after the decimal point, by the first part of a metric's name
DIGITS = {
    'PSNR': 2,
    'SSIM': 4,
    'LPIPS': 4,
    'DOVER': 4,
    'Ewarp': 2,
    'NIQE': 2,
    'ILNIQE': 2,
    'MUSIQ': 2,
}


def digits_of(metric: str) -> int:
    """Return the digits of a metric that are printed after the point."""
    return DIGITS.get(metric.split('_')[0], 4)


@dataclass(frozen=True)
class Cell:
    """One method's score in one metric on one set.

    Args:
        mean: over the clips that all methods have.
        rank: 1 for the best; None where a rank would not be fair.
        difference: to the reference, over the clips that both have; None for
            the reference itself, and without such clips.
    """

    mean: ClipMean
    rank: int | None
    difference: ClipMean | None


@dataclass(frozen=True)
class SetComparison:
    """All methods on one set.

    Args:
        name: of the set.
        methods: those that have clips of it, in the order given.
        shared: clips that all methods with a metric have, by metric; metrics
            without a score are absent.
        cells: by method and metric.
        departure: why the paper's numbers of a set of this name do not belong
            beside these; '' if they do, and where the paper has none.
    """

    name: str
    methods: list[str]
    shared: dict[str, list[str]]
    cells: dict[tuple[str, str], Cell]
    departure: str = ''

    @property
    def metrics(self) -> list[str]:
        """Metrics with at least one score."""
        return list(self.shared)

    def printed(self) -> dict[str, dict[str, float]]:
        """Return the paper's scores by method and metric; none of others."""
        return {} if self.departure else load_published().get(self.name, {})


@dataclass(frozen=True)
class Comparison:
    """Several methods on several sets.

    Args:
        results: by method.
        reference: method that differences are taken to.
        sets: in order of appearance.
        higher_is_better: by metric.
        seed: of the bootstrap.
    """

    results: dict[str, MethodResults]
    reference: str
    sets: list[SetComparison]
    higher_is_better: dict[str, bool]
    seed: int


def compare(
    results: list[MethodResults], reference: str | None = None, seed: int = 0
) -> Comparison:
    """Compare the results of methods.

    Args:
        results: of distinct names, at least one.
        reference: name of a method; None for the first.
        seed: of the bootstrap.

    Raises:
        ValueError: the reference is unknown, no two methods share a clip, or
            two results disagree on whether a higher score is better.
    """
    by_name = {each.name: each for each in results}
    reference = results[0].name if reference is None else reference
    if reference not in by_name:
        known = ', '.join(by_name)
        raise ValueError(
            f'`reference` must be one of {known}, got {reference!r}'
        )
    higher = _directions(results)
    names = unique(dataset for each in results for dataset, _ in each.clips)
    sets = [
        _compare_set(name, results, reference, higher, seed) for name in names
    ]
    if len(results) > 1 and not any(_is_shared(t, results) for t in sets):
        raise ValueError(
            f'{", ".join(by_name)}: no two methods have a score of the same '
            'clip in the same metric'
        )
    return Comparison(by_name, reference, sets, higher, seed)


def unique(values: Iterable[T]) -> list[T]:
    """Return the values without later repetitions."""
    return list(dict.fromkeys(values))


def _directions(results: list[MethodResults]) -> dict[str, bool]:
    """Return by metric whether higher is better."""
    higher: dict[str, bool] = {}
    for each in results:
        for metric in each.protocol['metrics']:
            name, better = metric['name'], bool(metric['higher_is_better'])
            if higher.setdefault(name, better) != better:
                raise ValueError(
                    f'{each.folder}: {name} is better '
                    f'{"higher" if better else "lower"}, unlike in the '
                    'results before'
                )
    return higher


def _compare_set(
    name: str,
    results: list[MethodResults],
    reference: str,
    higher: dict[str, bool],
    seed: int,
) -> SetComparison:
    members = [r for r in results if any(key[0] == name for key in r.clips)]
    cells: dict[tuple[str, str], Cell] = {}
    shared: dict[str, list[str]] = {}
    for metric, better in higher.items():
        found = {r.name: r.scores(name, metric) for r in members}
        found = {method: scores for method, scores in found.items() if scores}
        if not found:
            continue
        shared[metric] = _in_all(found)
        means = _means(found, shared[metric], seed)
        ranked = results if shared[metric] else []
        order = _ranks(means, metric, better, ranked)
        base = found.get(reference, {})
        for method, mean in means.items():
            difference = None
            if method != reference:
                difference = paired_difference(found[method], base, seed)
            cells[method, metric] = Cell(mean, order.get(method), difference)
    methods = [each.name for each in members]
    departure = _departure(name, members, shared)
    return SetComparison(name, methods, shared, cells, departure)


def _departure(
    name: str, members: list[MethodResults], shared: dict[str, list[str]]
) -> str:
    """Say how clips and means differ from those of the paper's set."""
    clips = [
        [clip for (dataset, _), clip in each.clips.items() if dataset == name]
        for each in members
    ]
    counts = [len(found) for found in clips]
    printed = printed_metrics(name) & shared.keys()
    counts += [len(shared[metric]) for metric in printed]
    facts = [
        ClipFacts(clip.num_frames, clip.size, clip.lq_size)
        for found in clips
        for clip in found
    ]
    return find_departure(name, counts, facts)


def _in_all(found: Scores) -> list[str]:
    first, *others = found.values()
    return [name for name in first if all(name in s for s in others)]


def _means(found: Scores, shared: list[str], seed: int) -> dict[str, ClipMean]:
    """Average over the shared clips; over a method's own if there are none."""
    return {
        method: mean_over_clips([scores[n] for n in shared or scores], seed)
        for method, scores in found.items()
    }


def _ranks(
    means: dict[str, ClipMean],
    metric: str,
    better: bool,
    results: list[MethodResults],
) -> dict[str, int]:
    """Rank the methods with trained weights, if there are several."""
    values = {
        each.name: means[each.name].value
        for each in results
        if each.name in means and not each.random
    }
    if len(values) < 2:
        return {}
    return ranks(values, better, digits_of(metric))


def _is_shared(table: SetComparison, results: list[MethodResults]) -> bool:
    """Return whether two methods have a score of one clip in one metric."""
    for metric in table.metrics:
        names = [n for r in results for n in r.scores(table.name, metric)]
        if len(names) > len(set(names)):
            return True
    return False
