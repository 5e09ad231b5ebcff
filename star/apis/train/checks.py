"""Checks of a training's config, before anything of it is built."""

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import FlexibleRunner, Runner

from star.apis.train.clip_sizes import check_clips
from star.apis.train.numbers import check_numbers
from star.apis.train.schedules import check_length, check_schedules
from star.apis.train.sharding import check_strategy

RUNNERS = {'Runner': Runner, 'FlexibleRunner': FlexibleRunner}


def check_training(config: Config) -> None:
    """Refuse a config whose settings are incomplete or contradict each other.

    The model is built without memory, which refuses wrong arguments.

    Raises:
        ValueError: in one line: the setting, the rule, its value and what to
            do.
    """
    _check_kinds(config)
    kind = config.get('runner_type', 'Runner')
    if kind not in tuple(RUNNERS):
        raise ValueError(
            f'`runner_type` must be one of {", ".join(RUNNERS)}, got {kind!r}'
        )
    complete = _is_complete(config)
    check_strategy(config)
    if not complete:
        return
    check_numbers(config.to_dict())
    _check_loader(config.train_dataloader)
    length = check_length(config)
    check_schedules(config, length)
    _check_hooks(config, length.iterations)
    check_clips(config)


def check_device(config: Config) -> None:
    """Refuse an optimiser wrapper that the machine cannot run.

    Raises:
        ValueError: mmengine's AmpOptimWrapper needs a GPU, and there is none.
    """
    kind = (config.get('optim_wrapper') or {}).get('type')
    if kind == 'AmpOptimWrapper' and get_device() == 'cpu':
        raise ValueError(
            '`optim_wrapper.type` AmpOptimWrapper needs a GPU; none is here: '
            'use BFloat16OptimWrapper (--amp)'
        )


def _check_kinds(config: Config) -> None:
    """Refuse other values where the checks read dictionaries."""
    for name in ('strategy', 'model_wrapper_cfg', 'val_dataloader'):
        value = config.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise ValueError(f'{name} must be a dictionary, got {value!r}')
    for path, hook in _hooks(config):
        if not isinstance(hook, Mapping) or 'type' not in hook:
            raise ValueError(
                f'{path} must be a dictionary with the `type` of a hook, got '
                f'{hook!r}'
            )


def _is_complete(config: Config) -> bool:
    """Return whether there is a training; refuse half of one."""
    parts = ('train_dataloader', 'train_cfg', 'optim_wrapper')
    given = [part for part in parts if config.get(part) is not None]
    if given and len(given) < len(parts):
        absent = ', '.join(sorted(set(parts) - set(given)))
        raise ValueError(f'config {config.filename} lacks {absent}')
    wanted = {'train_dataloader': 'dataset', 'optim_wrapper': 'optimizer'}
    for part, inner in wanted.items():
        if given and not isinstance(config[part].get(inner), Mapping):
            raise ValueError(
                f'config {config.filename} lacks {part}.{inner}, got '
                f'{config[part].get(inner)!r}'
            )
    return bool(given)


def _check_loader(loader: Mapping[str, Any]) -> None:
    """Refuse settings of worker processes where there are none."""
    if loader.get('num_workers', 0):
        return
    if loader.get('persistent_workers'):
        raise ValueError(
            'train_dataloader.persistent_workers must be False with '
            'num_workers=0: there are no workers'
        )
    if loader.get('prefetch_factor') is not None:
        raise ValueError(
            'train_dataloader.prefetch_factor must be None with '
            f'num_workers=0, got {loader["prefetch_factor"]}'
        )


def _check_hooks(config: Config, iterations: int | None) -> None:
    """Refuse hooks that contradict the length of the run or its optimiser."""
    counts = config.optim_wrapper.get('accumulative_counts', 1)
    for path, hook in _hooks(config):
        for name in ('begin', 'begin_iter'):
            begin = hook.get(name, 0)
            if iterations is not None and 0 < iterations <= begin:
                raise ValueError(
                    f'{path}.{name} must be below train_cfg.max_iters = '
                    f'{iterations}, got {begin}: {hook["type"]} would never '
                    'begin'
                )
        interval = hook.get('interval', counts)
        if hook['type'] == 'SafeCheckpointHook' and interval % counts:
            raise ValueError(
                f'{path}.interval must be a multiple of '
                f'optim_wrapper.accumulative_counts = {counts}, got {interval}'
            )


def _hooks(config: Config) -> Iterator[tuple[str, Any]]:
    for name, hook in (config.get('default_hooks') or {}).items():
        if hook is not None:
            yield f'default_hooks.{name}', hook
    for index, hook in enumerate(config.get('custom_hooks') or ()):
        yield f'custom_hooks.{index}', hook
