"""The length of a training, and the schedules that must fit into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

_ENDLESS = ('DrawSampler', 'InfiniteSampler')
_FOREVER = 10**9  # mmengine's `end` of a schedule without one
_LOOPS = {
    'IterBasedTrainLoop': 'max_iters',
    'EpochBasedTrainLoop': 'max_epochs',
}


@dataclass(frozen=True)
class Length:
    """The length of a training.

    Args:
        iterations: None if the data decide.
        epochs: None if the training counts iterations.
    """

    iterations: int | None
    epochs: int | None = None

    @property
    def key(self) -> str:
        """The setting that states it."""
        by_epoch = self.epochs is not None
        return f'train_cfg.{"max_epochs" if by_epoch else "max_iters"}'


def check_length(config: Config) -> Length:
    """Read the length of a training; refuse settings that contradict it.

    Raises:
        ValueError: the loop takes another unit, or its epochs never end.
    """
    loop = config.train_cfg
    kind = loop.get('type')
    if kind is None:
        by_epoch = loop.get('by_epoch', 'max_epochs' in loop)
        kind = 'EpochBasedTrainLoop' if by_epoch else 'IterBasedTrainLoop'
        if 'by_epoch' not in loop:
            raise ValueError(f'train_cfg needs a `type`, such as {kind}')
    wanted = _LOOPS.get(kind)
    if wanted is not None:
        found = sorted({'max_iters', 'max_epochs'} & set(loop))
        if found != [wanted]:
            raise ValueError(
                f'train_cfg of type {kind} must have {wanted} alone, got '
                f'{" and ".join(found) or "neither max_iters nor max_epochs"}'
            )
    if loop.get('max_epochs') is None:
        return Length(loop.get('max_iters'))
    sampler = config.train_dataloader.get('sampler') or {}
    if sampler.get('type') in _ENDLESS:
        raise ValueError(
            f'train_cfg counts epochs, but train_dataloader.sampler '
            f'{sampler["type"]} never ends one: use IterBasedTrainLoop with '
            'max_iters, or DefaultSampler'
        )
    return Length(None, loop.max_epochs)


def check_schedules(config: Config, length: Length) -> None:
    """Refuse schedules that do not fit into the length of a training.

    Args:
        config: with `param_scheduler`, maybe.
        length: of the training.

    Raises:
        ValueError: naming the schedules, their values and what to do.
    """
    given = config.get('param_scheduler') or []
    schedules = {'param_scheduler': given}
    if not isinstance(given, Mapping):
        schedules = {f'param_scheduler.{i}': s for i, s in enumerate(given)}
    elif 'type' not in given:  # one list for each of several optimisers
        return
    problems = [
        problem
        for path, schedule in schedules.items()
        if (problem := _find_problem(path, schedule, length))
    ]
    if problems:
        raise ValueError('; '.join(problems))


def _find_problem(path: str, settings: Any, length: Length) -> str:
    """Describe how a schedule contradicts a training; empty if it fits."""
    if not isinstance(settings, Mapping) or 'type' not in settings:
        return f'{path} must be a dictionary with a `type`, got {settings!r}'
    what = f'{path} ({settings["type"]})'
    by_epoch = settings.get('by_epoch', True)
    begin, end = settings.get('begin', 0), settings.get('end', _FOREVER)
    if end <= begin:
        return f'{what} must end after it begins, got {begin} to {end}'
    if settings.get('convert_to_iter_based'):
        return ''  # it counts epochs, whose length the data decide
    if by_epoch and length.iterations is not None:
        return (
            f'{what} counts epochs, but {length.key} counts '
            f'{length.iterations} iterations: set {path}.by_epoch=False'
        )
    total = length.epochs if by_epoch else length.iterations
    if total is None:
        return ''
    last = _last_step(settings, begin)
    if begin >= total or last > total:
        unit = 'epoch' if by_epoch else 'iteration'
        return (
            f'{what} goes from {unit} {begin} to '
            f'{"the end" if last == begin else last}, but {length.key} is '
            f'{total}: shorten the schedule, leave it out '
            f"(param_scheduler='[]'), or set {length.key} to at least "
            f'{max(last, begin + 1)}'
        )
    return ''


def _last_step(settings: Mapping[str, Any], begin: int) -> int:
    """Return the step at which a schedule says that it ends, or `begin`."""
    ends = [begin, *(settings.get('milestones') or ())]
    if settings.get('end', _FOREVER) < _FOREVER:
        return max(*ends, settings['end'])
    for name in ('T_max', 'total_steps'):
        if settings.get(name):
            ends.append(begin + settings[name])
    return max(ends)
