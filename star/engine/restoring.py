"""Restoring of a run's state under the settings of its config."""

import inspect
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.runner import Runner
from torch.optim import Optimizer

from star.engine import run_state
from star.engine.ema import find_ema
from star.engine.resuming import only
from star.engine.sharded_optimizer import load_optimizer
from star.engine.sharded_state import cut, is_sharded
from star.utils.checkpoint_folder import EMA, load_ema

# entries on which the values of the optimiser depend
_RATES = (
    'optim_wrapper.*',
    'param_scheduler.*',
    'auto_scale_lr.*',
    'train_cfg.max_iters',  # schedules end with the run
)
# what schedules add to a group of the optimiser
_OF_SCHEDULES = ('initial_', 'max_', 'min_')
# of a schedule: they are no settings
_POSITION = ('_global_step', '_last_value', 'last_step')


def restore_optimizer(
    runner: Runner, state: Mapping[str, Any], changed: Mapping[str, str]
) -> None:
    """Restore the optimiser and the schedules.

    Without a change they get the values of the checkpoint. With one, the
    optimiser gets the config's, and the schedules are moved to where those of
    a new run would be.

    Args:
        runner: its optimiser and schedules are those of a new run.
        state: of the checkpoint; its optimiser's moments are loaded.
        changed: the entries that differ, from `check_resume`.

    Raises:
        ValueError: the optimiser has other groups of parameters, or a
            schedule follows scores.
    """
    wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers or []
    own = [_settings(wrapper.optimizer, g) for g in wrapper.param_groups]
    same = not only(changed, _RATES) and _are_alike(
        schedulers, state['schedulers']
    )
    try:
        load_optimizer(runner.model, wrapper, state['optimizer'])
    except (KeyError, ValueError) as error:
        raise ValueError(
            f'`optim_wrapper` does not fit the checkpoint: {error}; resume it '
            'with the same groups of parameters (`paramwise_cfg`)'
        ) from error
    wrapper.initialize_count_status(
        runner.model, state['iteration'], runner.max_iters
    )
    if same:
        for scheduler, saved in zip(
            schedulers, state['schedulers'], strict=True
        ):
            scheduler.load_state_dict(saved)
        return
    for group, settings in zip(wrapper.param_groups, own, strict=True):
        for name in _settings(wrapper.optimizer, group):
            del group[name]  # the new schedules may not set it
        group.update(settings)
    _advance(runner, schedulers, state['iteration'])


def save_schedulers(runner: Runner) -> list[dict[str, Any]]:
    """Collect the state of the schedules, without their functions."""
    return [
        {k: v for k, v in scheduler.state_dict().items() if not callable(v)}
        for scheduler in runner.param_schedulers or []
    ]


def restore_ema(runner: Runner, folder: Path) -> None:
    """Restore the averaged weights.

    Raises:
        ValueError: the checkpoint has none, or has some that the config
            does not make.
    """
    averages, ema = load_ema(folder), find_ema(runner)
    begun = ema is not None and ema.begin < runner.iter
    if begun != (averages is not None):
        raise ValueError(
            f'{folder} has {"no" if begun else "averaged"} '
            f"{EMA}, but the config's TrainedEMAHook "
            f'{"has begun" if begun else "is missing or begins later"}'
        )
    if ema is not None and averages is not None:
        if is_sharded(runner.model):
            averages = cut(runner.model, averages)
        ema.load(runner.model, averages)


def skip_data(runner: Runner, draw: int) -> None:
    """Let mmengine's loop skip batches without loading them.

    The loop takes one batch for every finished iteration; the sampler already
    starts after them.

    Args:
        runner: of the training.
        draw: the first number that has not been taken yet.

    Raises:
        ValueError: the sampler starts elsewhere.
    """
    start = runner.train_dataloader.sampler.start
    if start != draw:
        raise ValueError(
            f'`train_dataloader.sampler.start` must be {draw} to resume, got '
            f'{start}: use `set_resume`'
        )
    loop = runner.train_loop
    skipped = itertools.repeat(None, runner.iter)
    loop.dataloader_iterator = itertools.chain(
        skipped, loop.dataloader_iterator
    )


def restore_rng(runner: Runner, states: list[dict[str, Any]]) -> None:
    """Restore the random state of this rank, if the ranks are as many."""
    if len(states) == dist.get_world_size():
        run_state.set_rng_state(states[dist.get_rank()])
    else:
        runner.logger.warning(
            f'the run had {len(states)} processes and has '
            f'{dist.get_world_size()} now: random states are not restored'
        )


def _advance(runner: Runner, schedulers: list, iterations: int) -> None:
    """Make the steps of a new run's first iterations."""
    following = [s for s in schedulers if getattr(s, 'need_val_args', False)]
    if following:
        kind = type(following[0]).__name__
        raise ValueError(
            f'`param_scheduler` {kind} follows scores: `optim_wrapper` and '
            '`param_scheduler` must stay as they are in the checkpoint'
        )
    runner.optim_wrapper._global_step = iterations - 1  # no warnings
    for _ in range(iterations):
        for scheduler in schedulers:
            if not scheduler.by_epoch:
                scheduler.step()


def _settings(
    optimizer: Optimizer, group: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a group's entries that the config sets, not the optimiser."""
    names = inspect.signature(type(optimizer)).parameters
    return {
        k: v
        for k, v in group.items()
        if k != 'params' and (k in names or k.startswith(_OF_SCHEDULES))
    }


def _are_alike(schedulers: list, states: Sequence[Mapping]) -> bool:
    """Return whether schedules have the settings that were saved."""

    def settings(state: Mapping[str, Any]) -> dict[str, Any]:
        return {
            k: v
            for k, v in state.items()
            if k not in _POSITION and not callable(v)
        }

    own = [settings(scheduler.state_dict()) for scheduler in schedulers]
    return own == [settings(state) for state in states]
