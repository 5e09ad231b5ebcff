"""Changes of the config that a resumed run accepts.

A resumed run takes its settings from its config. Only the state comes from
the checkpoint: weights, moments, random states, position in the data.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import get_world_size

from star.utils.config import describe_differences, flatten

_LOADER = 'train_dataloader'
_SECTIONS = (
    'model',
    'optim_wrapper',
    'param_scheduler',
    _LOADER,
    'train_cfg',
    'default_hooks',
    'custom_hooks',
    'randomness',
    'auto_scale_lr',
)
_OLD_SECTIONS = ('model.*', 'optim_wrapper.*', 'param_scheduler.*')
_SET_BY_RESUME = (
    'train_dataloader.sampler.start',
    'default_hooks.checkpoint.resume_from',
    'default_hooks.checkpoint.changes',
)
_UNSET = 'not set'
# They may change without being asked for: paths, memory, speed, the length
# of the run, and hooks, which act by the config from the next iteration on.
_FREE = (
    '*.pretrained',
    '*.tokenizer',
    '*checkpointing*',
    'model.restore_options.*',
    'train_cfg.*',
    'default_hooks.*',
    'custom_hooks.*',
    'train_dataloader.num_workers',
    'train_dataloader.persistent_workers',
    'train_dataloader.pin_memory',
    'train_dataloader.prefetch_factor',
    'auto_scale_lr.real_batch_size',  # follows from others
)
# They act at the start of a run only, or the state is not that of another.
_FIXED = (
    'randomness.seed',
    'randomness.diff_rank_seed',
    'optim_wrapper.optimizer.type',
    'train_cfg.type',
)


def describe_config(config: Config) -> dict[str, str]:
    """Flatten the entries of a config on which a training depends.

    Returns:
        The `repr` of each value by its dotted name.
    """
    found = flatten({k: config[k] for k in _SECTIONS if config.get(k)})
    scaling, loader = config.get('auto_scale_lr'), config.get(_LOADER)
    if scaling and scaling.get('enable') and loader:
        total = loader.batch_size * get_world_size()
        found['auto_scale_lr.real_batch_size'] = repr(total)
    return {k: v for k, v in found.items() if not k.startswith(_SET_BY_RESUME)}


def check_resume(
    folder: Path,
    state: Mapping[str, Any],
    config: Config,
    may_differ: Sequence[str],
) -> dict[str, str]:
    """Compare a run with the checkpoint that it is to continue.

    Args:
        folder: of the checkpoint, for the message.
        state: of the checkpoint.
        config: of the run.
        may_differ: patterns of entries that may differ, beside those that
            always may.

    Returns:
        'OLD -> NEW' by the names of the entries that differ.

    Raises:
        ValueError: another entry differs, or the run cannot continue here.
    """
    saved, current = state['config'], describe_config(config)
    if not any(
        name.startswith(_LOADER) for name in saved
    ):  # of an older version
        current = only(current, _OLD_SECTIONS)
    found = describe_differences(only(saved, _FIXED), only(current, _FIXED))
    if found:
        raise ValueError(
            f'{folder} cannot be resumed: {found}; keep the value of the '
            'checkpoint, or start a new run in another --work-dir'
        )
    found = describe_differences(saved, current, (*_FREE, *may_differ))
    if found:
        raise ValueError(
            f'{folder} is of another config: {found}; resume it with its own '
            'values; to change them from here on, give the new ones with '
            '--cfg-options, or list their names in '
            '`default_hooks.checkpoint.may_differ`'
        )
    _check_iteration(folder, state['iteration'], config)
    names = sorted(saved.keys() | current.keys())
    pairs = {n: (saved.get(n, _UNSET), current.get(n, _UNSET)) for n in names}
    return {n: f'{a} -> {b}' for n, (a, b) in pairs.items() if a != b}


def _check_iteration(folder: Path, iteration: int, config: Config) -> None:
    """Refuse an iteration after which this config cannot continue."""
    length = config.train_cfg.get('max_iters', iteration)
    if length < iteration:
        raise ValueError(
            f'`train_cfg.max_iters` must be at least {iteration}, the '
            f'iterations that {folder} has had, got {length}'
        )
    counts = config.optim_wrapper.get('accumulative_counts', 1)
    if iteration % counts and iteration < length:
        raise ValueError(
            f'`optim_wrapper.accumulative_counts` must divide {iteration}, '
            f'the iterations that {folder} has had, got {counts}: resume '
            'another checkpoint, or keep its value'
        )


def check_stock_resume(
    path: Path, state: Mapping[str, Any], config: Config
) -> None:
    """Refuse another optimiser where mmengine itself resumes a run.

    mmengine takes the optimiser's values from its file and ignores the
    config's.

    Args:
        path: of the file, for the message.
        state: its content.
        config: of the run.

    Raises:
        ValueError: a value of the config would be ignored.
    """
    saved = state.get('optimizer', {})
    groups = saved.get('param_groups', [])
    if len(groups) != 1 or (config.get('auto_scale_lr') or {}).get('enable'):
        return  # the values of single groups are not the config's
    there = {
        name: groups[0].get(f'initial_{name}', groups[0].get(name))
        for name in config.optim_wrapper.optimizer
        if name in groups[0]
    }
    here = {name: config.optim_wrapper.optimizer[name] for name in there}
    found = describe_differences(
        *(
            flatten(values, 'optim_wrapper.optimizer')
            for values in (there, here)
        )
    )
    if found:
        raise ValueError(
            f'{path} cannot be resumed: {found}; with its CheckpointHook, '
            'mmengine would go on with the value of the file: keep it, or '
            'train with SafeCheckpointHook, which can change it'
        )


def only(
    entries: Mapping[str, str], patterns: Sequence[str]
) -> dict[str, str]:
    """Return the entries whose names match one of the patterns."""
    return {
        name: value
        for name, value in entries.items()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
