"""Warnings and notes about numbers that cannot be compared."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from star.report.comparison import Comparison, SetComparison, unique
from star.report.results import ClipScores, ClipShift, MethodResults
from star.utils.config import flatten
from star.utils.problems import find_causes, list_some
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
    """A warning or note that belongs below the tables.

    Args:
        level: 'warning' where scores cannot be compared, else 'note'.
        text: one sentence without its full stop.
    """

    level: str
    text: str


def find_remarks(comparison: Comparison) -> list[Remark]:
    """Return what makes a comparison unfair: warnings, then notes.

    One cause gives one remark, however many clips and metrics it concerns.
    """
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
    causes: dict[tuple[str, bool], list[tuple[str, str]]] = {}
    for key in unique(key for settings in flat.values() for key in settings):
        values: dict[str, list[str]] = {}
        for name, settings in flat.items():
            if _applies(key, settings):
                value = settings.get(key, 'not set')
                values.setdefault(value, []).append(name)
        if len(values) > 1:
            listed = '; '.join(
                f'{value} in {", ".join(n)}' for value, n in values.items()
            )
            timing = key.split('.')[0] in _TIMES_ONLY
            cause = (_cause(key, values, listed), timing)
            causes.setdefault(cause, []).append((key, listed))
    for (_, timing), found in causes.items():
        yield _difference(found, timing)
    scored = any(not timing for _, timing in causes)
    fingerprints = {each.protocol.get('fingerprint') for each in results}
    if len(fingerprints) > 1 and not scored and _same_scores(results):
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


def _cause(key: str, values: dict[str, list[str]], listed: str) -> str:
    """Name what settings have in common that differ for one reason.

    Versions and device are those of a computer. An option that several
    metrics or sets have was changed in all of them.
    """
    kind = key.split('.')[0]
    if kind in (*_TIMES_ONLY, 'versions', 'decoder'):
        return f'computer {sorted(values.values())}'
    option = key.split('.', 2)[-1] if kind in ('metrics', 'sets') else key
    return f'{kind} {option} {listed}'


def _difference(found: list[tuple[str, str]], timing: bool) -> Remark:
    """Describe settings, each with its values, that differ for one reason."""
    keys: dict[str, list[str]] = {}
    for key, listed in found:
        keys.setdefault(listed, []).append(key)
    text = ', and '.join(
        f'{", ".join(k)} {"is" if len(k) == 1 else "are"} {listed}'
        for listed, k in keys.items()
    )
    if timing:
        return Remark('note', f'times and memory do not compare: {text}')
    return Remark('warning', f'the protocols differ: {text}')


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
    found: dict[str, list[str]] = {}
    for each in results:
        sources = str(each.protocol.get('input', '')).split(', ')
        lossy = [name for name in sources if not _LOSSLESS.fullmatch(name)]
        if lossy:
            found.setdefault(', '.join(lossy), []).append(each.name)
    for kinds, names in found.items():
        yield Remark(
            'warning',
            f'{", ".join(names)} {_was(names)} scored on {kinds}, which may '
            'be lossy: the loss counts against the method',
        )


def _clips(comparison: Comparison) -> Iterator[Remark]:
    """Name missing scores and clips, and clips that differ."""
    for table in comparison.sets:
        yield from _missing(comparison, table)
        yield from _unequal(comparison, table)
    absent: dict[str, list[str]] = {}
    for table in comparison.sets:
        names = [n for n in comparison.results if n not in table.methods]
        if names:
            absent.setdefault(', '.join(names), []).append(table.name)
    for methods, sets in absent.items():
        text = f'{", ".join(sets)}: no results of {methods}'
        yield Remark('note', text)


def _missing(comparison: Comparison, table: SetComparison) -> Iterator[Remark]:
    """Name missing scores and clips, once for all metrics that lack them."""
    without: dict[str, list[str]] = {}
    unused: dict[str, list[str]] = {}
    for metric in table.metrics:
        scored = {
            name: comparison.results[name].scores(table.name, metric)
            for name in table.methods
        }
        names = [name for name, scores in scored.items() if not scores]
        if names:
            without.setdefault(', '.join(names), []).append(metric)
        text = _unused(scored, set(table.shared[metric]))
        if text:
            unused.setdefault(text, []).append(metric)
    for methods, metrics in without.items():
        text = f'{table.name}: no {", ".join(metrics)} of {methods}'
        yield Remark('warning', text)
    for text, metrics in unused.items():
        where = f'{table.name}, {", ".join(metrics)}'
        yield Remark('warning', f'{where}: {text}')


def _unused(scored: dict[str, dict[str, float]], shared: set[str]) -> str:
    """Say which scored clips not all methods have; '' if all have all."""
    extra = {n: [c for c in s if c not in shared] for n, s in scored.items()}
    listed = '; '.join(f'{n}: {list_some(c)}' for n, c in extra.items() if c)
    if not listed:
        return ''
    if shared:
        return (
            f'means are over the {len(shared)} clips that all methods have; '
            f'not used are {listed}'
        )
    return (
        "no clip is common to all methods; each mean is over the method's "
        'own clips, and there are no ranks'
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
        for trait in _unequal_traits(found):
            unequal.setdefault(trait, []).append(name)
    for trait, names in unequal.items():
        yield Remark(
            'warning',
            f'{table.name}: {trait} differ between methods in {len(names)} '
            f'clips ({list_some(names)})',
        )


def _unequal_traits(clips: list[ClipScores]) -> list[str]:
    """Name what differs and should be equal in all clips."""
    traits: dict[str, set] = {
        'input sizes': {c.lq_size for c in clips if c.lq_size is not None},
        'output sizes': {clip.size for clip in clips},
        'numbers of frames': {clip.num_frames for clip in clips},
    }
    found = [trait for trait, values in traits.items() if len(values) > 1]
    if 'numbers of frames' in found:
        return found  # so that the scored frames differ as well
    frames: dict[str, set] = {}
    for clip in clips:
        for metric, scores in clip.frame_scores.items():
            frames.setdefault(metric, set()).add(tuple(scores.frames))
    metrics = [metric for metric, values in frames.items() if len(values) > 1]
    if metrics:
        found.append(f'frames scored by {", ".join(metrics)}')
    return found


def _random(results: list[MethodResults]) -> Iterator[Remark]:
    found: dict[str, list[str]] = {}
    for each in results:
        if each.random:
            found.setdefault(each.random, []).append(each.name)
    for text, names in found.items():
        one = len(names) == 1
        yield Remark(
            'warning',
            f'{", ".join(names)} had {text}: {"its" if one else "their"} '
            f'numbers say nothing about the {"method" if one else "methods"}, '
            f'and {"it has" if one else "they have"} no rank',
        )


def _shifts(results: list[MethodResults]) -> Iterator[Remark]:
    """Name methods whose clips are shifted against the ground truth."""
    for each in results:
        shifts: dict[str, list[ClipShift]] = {}
        for (dataset, _), clip in each.clips.items():
            if clip.shift is not None:
                shifts.setdefault(dataset, []).append(clip.shift)
        large = {
            dataset: [shift for shift in known if _is_large(shift)]
            for dataset, known in shifts.items()
        }
        sets = [dataset for dataset, found in large.items() if found]
        if sets:
            known = sum(len(shifts[dataset]) for dataset in sets)
            found = [shift for dataset in sets for shift in large[dataset]]
            where = f'{each.name} in {len(found)} of {known} clips'
            text = f'{", ".join(sets)}: {_describe(found, where)}'
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
    """Name the problems of the tests, once for all clips and methods."""
    pairs = [(each.name, line) for each in results for line in each.problems]
    for cause in find_causes(pairs):
        yield Remark(
            'warning', f'{", ".join(cause.owners)}: {cause.describe()}'
        )


def _was(names: list[str]) -> str:
    return 'was' if len(names) == 1 else 'were'
