"""Scores that a test does not give, and their reasons."""

from collections.abc import Collection, Mapping
from typing import Any

from star.apis.test.metrics import Metrics, is_for
from star.apis.test.sets import ClipSet
from star.structures import Metric


def foresee_absences(
    metrics: Metrics, sets: Mapping[str, ClipSet], own: Collection[str]
) -> list[str]:
    """List metrics that do not apply to a set, before a clip is restored.

    Args:
        metrics: of the test.
        sets: to test on, by name.
        own: names of the config's sets. What the config leaves out for them
            is as its author wants it, and is not listed.

    Returns:
        One line for each metric and set.

    Raises:
        ValueError: a metric is for a set that does not exist, or for none of
            `sets`; or no metric applies to a set.
    """
    _check_names(metrics, sets, own)
    lines = []
    for name, dataset in sets.items():
        has_gt = getattr(dataset, 'has_gt', None)
        why = {m.name: _why(m, name, has_gt) for m in metrics.built}
        found = [f'{m} {reason}' for m, reason in why.items() if reason]
        if len(found) == len(metrics.built):
            raise ValueError(
                f'set {name} would have no scores: {", ".join(found)}; leave '
                'the set out, or name metrics for it with --metrics'
            )
        if metrics.named:
            lines += [f'{m} of {name}: it {r}' for m, r in why.items() if r]
        elif name not in own:
            lines += [
                f'{m.name} of {name}: the config has it for '
                f'{", ".join(m.datasets or [])} only; --metrics {m.name} '
                'computes it'
                for m in metrics.built
                if not is_for(m, name)
            ]
    return lines


def list_absences(results: Mapping[str, Any], metrics: Metrics) -> list[str]:
    """List the scores that a test's clips lack without a stated reason.

    Args:
        results: from `collect_results`.
        metrics: of the test.

    Returns:
        One line for each metric and set, with the number of clips.
    """
    built = {metric.name: metric for metric in metrics.built}
    stated = {line.split(': ')[0] for line in results['problems']}
    lines = []
    for name, each in results['sets'].items():
        clips = [c for c in results['clips'] if c['dataset'] == name]
        found = []
        for metric in each['scores']:
            lacking = [
                clip
                for clip in clips
                if clip['scores'].get(metric) is None
                and (metric in built or _is_open(metric, clip))
                and f'{metric} of {name}/{clip["name"]}' not in stated
            ]
            if lacking:
                count = f' ({len(lacking)} of {len(clips)} clips)'
                found.append((metric, count))
        empty = bool(clips) and not any(each['scored'].values())
        for metric, count in found:
            known = built.get(metric)
            if known is None or empty or _must_score(metrics, known, name):
                reason = _why_absent(known, name)
                lines.append(f'{metric} of {name}: {reason}{count}')
    return lines


def _check_names(
    metrics: Metrics, sets: Mapping[str, ClipSet], own: Collection[str]
) -> None:
    known = list(dict.fromkeys([*own, *sets]))
    for metric in metrics.built:
        names = metric.datasets or []
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(
                f'`datasets` of {metric.name} names {unknown[0]!r}, which is '
                f'no set: there are {", ".join(known)}; correct `datasets`, '
                'or choose metrics with --metrics'
            )
        if metrics.named and names and not set(names) & set(sets):
            raise ValueError(
                f'{metric.name} is for {", ".join(names)} (`datasets`), and '
                f'the test is of {", ".join(sets)}'
            )


def _why(metric: Metric, name: str, has_gt: bool | None) -> str:
    """Return why a metric does not apply; empty if it does, or may."""
    if not is_for(metric, name):
        return f'is for {", ".join(metric.datasets or [])} (`datasets`)'
    if metric.needs_gt and has_gt is False:
        return 'needs ground truth, a folder gt/'
    return ''


def _is_open(metric: str, clip: Mapping[str, Any]) -> bool:
    """Return whether a clip was neither scored nor left out on purpose."""
    return metric not in [*clip['scores'], *clip.get('left_out', ())]


def _must_score(metrics: Metrics, metric: Metric, name: str) -> bool:
    return is_for(metric, name) and (metrics.named or not metric.needs_gt)


def _why_absent(metric: Metric | None, name: str) -> str:
    if metric is None:
        return 'not computed by this command; name it with --metrics'
    reason = _why(metric, name, has_gt=False)
    return f'it {reason}' if reason else 'its record has no such score'
