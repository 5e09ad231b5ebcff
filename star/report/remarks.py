"""What keeps the numbers of a comparison from being comparable."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from star.report.comparison import Comparison, SetComparison, unique
from star.report.runs import Clip, Offset, Run

LEAST_SHIFT = 0.25  # pixels
_LEAST_GAIN = 0.05  # dB; blurred clips fit about as well moved a little
# parts of a protocol that cost or gain time, not quality
_TIMES_ONLY = ('device', 'threads')
_LOSSLESS = re.compile(
    r'restored in memory|((png|tiff?|bmp|p[bgnp]m)/?)+( frames)?'
    r'|(ffv1|huffyuv|ffvhuff|utvideo|magicyuv|rawvideo|png)\b.*',
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Remark:
    """Something that a reader of the tables must know.

    Args:
        level: 'warning' where numbers do not compare, else 'note'.
        text: one sentence.
    """

    level: str
    text: str


def find_remarks(comparison: Comparison) -> list[Remark]:
    """Look for what makes a comparison unfair.

    Returns:
        Warnings, then notes.
    """
    runs = list(comparison.runs.values())
    found = [*_protocols(runs), *_inputs(runs), *_clips(comparison)]
    found += [*_random(runs), *_shifts(runs), *_problems(runs)]
    return sorted(found, key=lambda remark: remark.level, reverse=True)


def _protocols(runs: list[Run]) -> Iterator[Remark]:
    """Say in which settings runs differ."""
    flat = {run.name: _flatten(_settings(run.protocol)) for run in runs}
    differing = False
    for key in unique(key for settings in flat.values() for key in settings):
        values: dict[str, list[str]] = {}
        for name, settings in flat.items():
            if _applies(key, settings):
                value = repr(settings[key]) if key in settings else 'not set'
                values.setdefault(value, []).append(name)
        if len(values) > 1:
            timing = key.split('.')[0] in _TIMES_ONLY
            differing |= not timing
            yield _difference(key, values, timing)
    prints = {run.protocol.get('fingerprint') for run in runs}
    if len(prints) > 1 and not differing and _same_parts(runs):
        yield Remark(
            'warning',
            'the fingerprints of the protocols differ, but no setting that '
            'is recorded does',
        )


def _applies(key: str, settings: Mapping[str, Any]) -> bool:
    """Whether a run should have a setting: it has that metric or set."""
    part = '.'.join(key.split('.')[:2]) + '.'
    return not key.startswith(('metrics.', 'sets.')) or any(
        name.startswith(part) for name in settings
    )


def _same_parts(runs: list[Run]) -> bool:
    """Whether all runs have the same metrics and as many clips of a set."""
    parts = [
        (
            sorted(metric['name'] for metric in run.protocol['metrics']),
            sorted((key[0], key[1]) for key in run.clips),
        )
        for run in runs
    ]
    return all(part == parts[0] for part in parts)


def _difference(
    key: str, values: dict[str, list[str]], timing: bool
) -> Remark:
    listed = '; '.join(f'{v} in {", ".join(n)}' for v, n in values.items())
    if timing:
        return Remark(
            'note', f'times and memory do not compare: {key} is {listed}'
        )
    return Remark('warning', f'the protocols differ: {key} is {listed}')


def _settings(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what two runs of any methods should have alike."""
    # what was scored in memory and from lossless files is the same; the
    # seed is the method's own
    apart = ('fingerprint', 'input', 'seed')
    kept = {k: v for k, v in protocol.items() if k not in apart}
    kept['metrics'] = {
        metric['name']: {
            'options': metric.get('options') or {},
            'weights': sorted((metric.get('weights') or {}).items()),
        }
        for metric in protocol['metrics']
    }
    # sets and their clips are compared clip by clip
    kept['sets'] = {
        name: {k: v for k, v in entry.items() if k != 'clips'}
        for name, entry in (protocol.get('sets') or {}).items()
    }
    return kept


def _flatten(tree: Mapping[str, Any], above: str = '') -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f'{above}{key}.')
        else:
            flat[f'{above}{key}'] = value
    return flat


def _inputs(runs: list[Run]) -> Iterator[Remark]:
    for run in runs:
        sources = str(run.protocol.get('input', '')).split(', ')
        lossy = [each for each in sources if not _LOSSLESS.fullmatch(each)]
        if lossy:
            yield Remark(
                'warning',
                f'{run.name} was scored on {", ".join(lossy)}, which may have '
                'lost something: the loss counts against the method',
            )


def _clips(comparison: Comparison) -> Iterator[Remark]:
    """Name scores and clips that some methods lack, and unequal clips."""
    for table in comparison.sets:
        for metric in table.metrics:
            yield from _missing(comparison, table, metric)
        yield from _unequal(comparison, table)
    names = list(comparison.runs)
    for table in comparison.sets:
        absent = [name for name in names if name not in table.methods]
        if absent:
            text = f'{table.name}: no results of {", ".join(absent)}'
            yield Remark('note', text)


def _missing(
    comparison: Comparison, table: SetComparison, metric: str
) -> Iterator[Remark]:
    runs = [comparison.runs[name] for name in table.methods]
    scored = {run.name: run.scores(table.name, metric) for run in runs}
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
            f'{where}: means are over the {len(shared)} clips that all have; '
            f'not used are {listed}',
        )
    elif listed:
        yield Remark(
            'warning',
            f'{where}: no clip is common to all; each mean is over its own '
            'clips, and nothing is ranked',
        )


def _unequal(comparison: Comparison, table: SetComparison) -> Iterator[Remark]:
    """Name clips of one name that are not of one size or length."""
    runs = [comparison.runs[name] for name in table.methods]
    unlike: dict[str, list[str]] = {}
    for name in unique(
        n for run in runs for d, n in run.clips if d == table.name
    ):
        key = table.name, name
        found = [run.clips[key] for run in runs if key in run.clips]
        for what, values in _traits(found).items():
            if len(values) > 1:
                unlike.setdefault(what, []).append(name)
    for what, names in unlike.items():
        yield Remark(
            'warning',
            f'{table.name}: {what} differ between methods in {len(names)} '
            f'clips ({_some(names)})',
        )


def _traits(clips: list[Clip]) -> dict[str, set]:
    """Collect what should be one value: by what it is."""
    traits: dict[str, set] = {
        'numbers of frames': {clip.num_frames for clip in clips},
        'output sizes': {clip.size for clip in clips},
        'input sizes': {c.lq_size for c in clips if c.lq_size is not None},
    }
    for clip in clips:
        for metric, parts in clip.parts.items():
            scored = traits.setdefault(f'frames scored by {metric}', set())
            scored.add(tuple(parts.frames))
    return traits


def _random(runs: list[Run]) -> Iterator[Remark]:
    for run in runs:
        if run.random:
            yield Remark(
                'warning',
                f'{run.name} ran with random weights: its numbers say '
                'nothing of the method, and it is not ranked',
            )


def _shifts(runs: list[Run]) -> Iterator[Remark]:
    """Name methods that lie beside the ground truth."""
    for run in runs:
        for dataset in unique(key[0] for key in run.clips):
            clips = [c for key, c in run.clips.items() if key[0] == dataset]
            known = [clip.shift for clip in clips if clip.shift is not None]
            off = [shift for shift in known if _is_off(shift)]
            if off:
                where = f'{run.name} in {len(off)} of {len(known)} clips'
                yield Remark('warning', f'{dataset}: {_describe(off, where)}')


def _is_off(shift: Offset) -> bool:
    far = max(abs(shift.rows), abs(shift.columns)) > LEAST_SHIFT
    return far and shift.gain >= _LEAST_GAIN


def _describe(shifts: list[Offset], where: str) -> str:
    rows = median(shift.rows for shift in shifts)
    columns = median(shift.columns for shift in shifts)
    gain = sum(shift.gain for shift in shifts) / len(shifts)
    return (
        f'{where} lies beside the ground truth, by {rows:+.2f} rows and '
        f'{columns:+.2f} columns (medians); moved back it would gain '
        f'{gain:.2f} dB of PSNR there. Nothing was moved'
    )


def _problems(runs: list[Run]) -> Iterator[Remark]:
    for run in runs:
        for line in run.problems:
            yield Remark('warning', f'{run.name}: {line}')


def _some(names: list[str], most: int = 5) -> str:
    more = f' and {len(names) - most} more' if len(names) > most else ''
    return ', '.join(names[:most]) + more
