"""Warnings and notes about numbers that cannot be compared."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from star.report.comparison import Comparison, SetComparison, unique
from star.report.results import ClipScores, ClipShift, MethodResults
from star.utils.config import flatten
from star.utils.results_format import ProtocolRecord

_MIN_SHIFT = 0.25  # pixels
_MIN_GAIN = 0.05  # dB; a blurred clip fits about as well after a small shift
# settings that change times, not scores
_TIMES_ONLY = ('device', 'threads')
_LOSSLESS = re.compile(
    r'restored in memory|((png|tiff?|bmp|p[bgnp]m)/?)+( frames)?'
    r'|(ffv1|huffyuv|ffvhuff|utvideo|magicyuv|rawvideo|png)\b.*',
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Remark:
    """A warning or note that belongs above the tables.

    Args:
        level: 'warning' where scores cannot be compared, else 'note'.
        text: one sentence without its full stop.
    """

    level: str
    text: str


def find_remarks(comparison: Comparison) -> list[Remark]:
    """Return what makes a comparison unfair: warnings, then notes."""
    results = list(comparison.results.values())
    found = [*_protocols(results), *_inputs(results), *_clips(comparison)]
    found += [*_random(results), *_shifts(results), *_problems(results)]
    return sorted(found, key=lambda remark: remark.level, reverse=True)


def _protocols(results: list[MethodResults]) -> Iterator[Remark]:
    """Name the settings in which protocols differ."""
    flat = {
        each.name: flatten(_settings(each.protocol), split_lists=False)
        for each in results
    }
    differing = False
    for key in unique(key for settings in flat.values() for key in settings):
        values: dict[str, list[str]] = {}
        for name, settings in flat.items():
            if _applies(key, settings):
                value = settings.get(key, 'not set')
                values.setdefault(value, []).append(name)
        if len(values) > 1:
            timing = key.split('.')[0] in _TIMES_ONLY
            differing |= not timing
            yield _difference(key, values, timing)
    fingerprints = {each.protocol.get('fingerprint') for each in results}
    if len(fingerprints) > 1 and not differing and _same_scores(results):
        yield Remark(
            'warning',
            'the fingerprints of the protocols differ, but none of the '
            'recorded settings does',
        )


def _applies(key: str, settings: Mapping[str, Any]) -> bool:
    """Return whether settings have the metric or set that a key belongs to."""
    prefix = '.'.join(key.split('.')[:2]) + '.'
    return not key.startswith(('metrics.', 'sets.')) or any(
        name.startswith(prefix) for name in settings
    )


def _same_scores(results: list[MethodResults]) -> bool:
    """Return whether all results have the same metrics and clips."""
    facts = [
        (
            sorted(metric['name'] for metric in each.protocol['metrics']),
            sorted(each.clips),
        )
        for each in results
    ]
    return all(each == facts[0] for each in facts)


def _difference(
    key: str, values: dict[str, list[str]], timing: bool
) -> Remark:
    listed = '; '.join(f'{v} in {", ".join(n)}' for v, n in values.items())
    if timing:
        return Remark(
            'note', f'times and memory do not compare: {key} is {listed}'
        )
    return Remark('warning', f'the protocols differ: {key} is {listed}')


def _settings(protocol: ProtocolRecord) -> dict[str, Any]:
    """Return the settings that must be equal in a fair comparison."""
    # clips scored in memory and from lossless files are equal; the seed
    # belongs to the method
    ignored = ('fingerprint', 'input', 'seed')
    kept = {k: v for k, v in protocol.items() if k not in ignored}
    kept['metrics'] = {
        metric['name']: {
            'options': metric.get('options') or {},
            'weights': sorted((metric.get('weights') or {}).items()),
        }
        for metric in protocol['metrics']
    }
    # sets are compared clip by clip
    kept['sets'] = {
        name: {k: v for k, v in entry.items() if k != 'clips'}
        for name, entry in (protocol.get('sets') or {}).items()
    }
    return kept


def _inputs(results: list[MethodResults]) -> Iterator[Remark]:
    for each in results:
        sources = str(each.protocol.get('input', '')).split(', ')
        lossy = [name for name in sources if not _LOSSLESS.fullmatch(name)]
        if lossy:
            yield Remark(
                'warning',
                f'{each.name} was scored on {", ".join(lossy)}, which may be '
                'lossy: the loss counts against the method',
            )


def _clips(comparison: Comparison) -> Iterator[Remark]:
    """Name missing scores and clips, and clips that differ."""
    for table in comparison.sets:
        for metric in table.metrics:
            yield from _missing(comparison, table, metric)
        yield from _unequal(comparison, table)
    for table in comparison.sets:
        absent = [n for n in comparison.results if n not in table.methods]
        if absent:
            text = f'{table.name}: no results of {", ".join(absent)}'
            yield Remark('note', text)


def _missing(
    comparison: Comparison, table: SetComparison, metric: str
) -> Iterator[Remark]:
    scored = {
        name: comparison.results[name].scores(table.name, metric)
        for name in table.methods
    }
    without = [name for name, scores in scored.items() if not scores]
    if without:
        text = f'{table.name}: no {metric} of {", ".join(without)}'
        yield Remark('warning', text)
    shared = set(table.shared[metric])
    extra = {n: [c for c in s if c not in shared] for n, s in scored.items()}
    listed = '; '.join(f'{n}: {_some(c)}' for n, c in extra.items() if c)
    where = f'{table.name}, {metric}'
    if listed and shared:
        yield Remark(
            'warning',
            f'{where}: means are over the {len(shared)} clips that all '
            f'methods have; not used are {listed}',
        )
    elif listed:
        yield Remark(
            'warning',
            f'{where}: no clip is common to all methods; each mean is over '
            "the method's own clips, and there are no ranks",
        )


def _unequal(comparison: Comparison, table: SetComparison) -> Iterator[Remark]:
    """Name clips of one name that differ in size or frames."""
    clips: dict[str, list[ClipScores]] = {}
    for method in table.methods:
        for (dataset, name), clip in comparison.results[method].clips.items():
            if dataset == table.name:
                clips.setdefault(name, []).append(clip)
    unequal: dict[str, list[str]] = {}
    for name, found in clips.items():
        for trait, values in _traits(found).items():
            if len(values) > 1:
                unequal.setdefault(trait, []).append(name)
    for trait, names in unequal.items():
        yield Remark(
            'warning',
            f'{table.name}: {trait} differ between methods in {len(names)} '
            f'clips ({_some(names)})',
        )


def _traits(clips: list[ClipScores]) -> dict[str, set]:
    """Collect the values of what should be equal in all clips."""
    traits: dict[str, set] = {
        'numbers of frames': {clip.num_frames for clip in clips},
        'output sizes': {clip.size for clip in clips},
        'input sizes': {c.lq_size for c in clips if c.lq_size is not None},
    }
    for clip in clips:
        for metric, scores in clip.frame_scores.items():
            frames = traits.setdefault(f'frames scored by {metric}', set())
            frames.add(tuple(scores.frames))
    return traits


def _random(results: list[MethodResults]) -> Iterator[Remark]:
    for each in results:
        if each.random:
            yield Remark(
                'warning',
                f'{each.name} had random weights: its numbers say nothing '
                'about the method, and it has no rank',
            )


def _shifts(results: list[MethodResults]) -> Iterator[Remark]:
    """Name methods whose clips are shifted against the ground truth."""
    for each in results:
        shifts: dict[str, list[ClipShift]] = {}
        for (dataset, _), clip in each.clips.items():
            if clip.shift is not None:
                shifts.setdefault(dataset, []).append(clip.shift)
        for dataset, known in shifts.items():
            large = [shift for shift in known if _is_large(shift)]
            if large:
                where = f'{each.name} in {len(large)} of {len(known)} clips'
                text = f'{dataset}: {_describe(large, where)}'
                yield Remark('warning', text)


def _is_large(shift: ClipShift) -> bool:
    far = max(abs(shift.rows), abs(shift.columns)) > _MIN_SHIFT
    return far and shift.gain >= _MIN_GAIN


def _describe(shifts: list[ClipShift], where: str) -> str:
    rows = median(shift.rows for shift in shifts)
    columns = median(shift.columns for shift in shifts)
    gain = sum(shift.gain for shift in shifts) / len(shifts)
    return (
        f'{where} is shifted against the ground truth, by {rows:+.2f} rows '
        f'and {columns:+.2f} columns (medians); undoing it would gain '
        f'{gain:.2f} dB of PSNR there. No clip was moved'
    )


def _problems(results: list[MethodResults]) -> Iterator[Remark]:
    for each in results:
        for line in each.problems:
            yield Remark('warning', f'{each.name}: {line}')


def _some(names: list[str], most: int = 5) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
