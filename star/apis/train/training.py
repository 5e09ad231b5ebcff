"""Start of a training run: config, processes, weights, Runner."""

import copy
import inspect
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.runner import FlexibleRunner, Runner, set_random_seed
from torch import nn

from star.apis.inference.build import load_config
from star.apis.inference.load import Source, load_model
from star.apis.train.changes import apply_changes as apply_changes
from star.apis.train.checks import RUNNERS, check_device, check_training
from star.apis.train.option_text import read_changes as read_changes
from star.apis.train.sharding import (
    check_launcher,
    place_on_cpu,
    without_device,
)
from star.registry import DATASETS
from star.utils.loader_workers import keep_workers
from star.utils.origins import describe_origins, record_of

LAUNCHERS = ('none', 'pytorch', 'slurm')
_STOCK_HOOKS = (
    'checkpoint',
    'logger',
    'param_scheduler',
    'runtime_info',
    'sampler_seed',
    'timer',
)
_AMP = 'BFloat16OptimWrapper'
_BUILDER = re.compile(r'^(class `\w+` in \S+: )+')
_WRONG_SETTING = re.compile(
    r'class `\w+` in |.* is not in the .*registry|\w+\.__init__\(\) '
    r'(got an unexpected keyword|missing \d+ required)'
)


@dataclass(frozen=True)
class RunOptions:
    """Options of the command line that change a config.

    Args:
        work_dir: folder of checkpoints and logs; None for that of the config,
            or `work_dirs/NAME_OF_CONFIG`.
        amp: run the networks in bfloat16.
        seed: of initial weights and of the training data; None for those of
            the config.
        launcher: how the processes were started, one of `LAUNCHERS`.
        changes: values by dotted key that replace the config's.

    Raises:
        ValueError: unknown `launcher`.
    """

    work_dir: str | None = None
    amp: bool = False
    seed: int | None = None
    launcher: str = 'none'
    changes: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.launcher not in LAUNCHERS:
            raise ValueError(
                f'`launcher` must be one of {", ".join(LAUNCHERS)}, got '
                f'{self.launcher!r}'
            )


def run_config(path: str | Path, options: RunOptions) -> Config:
    """Read a config and apply options of the command line.

    Args:
        path: a config file, or the name of a config.
        options: of the command line.

    Raises:
        ValueError: unknown config, or an option that does not fit it.
    """
    config = load_config(path)
    apply_changes(config, options.changes or {})
    if options.work_dir is not None:
        config.work_dir = options.work_dir
    elif config.get('work_dir') is None:
        config.work_dir = f'work_dirs/{Path(path).stem}'
    config.launcher = options.launcher
    if options.seed is not None:
        _set_seed(config, options.seed)
    if options.amp:
        _set_amp(config)
    return config


def start_processes(config: Config) -> None:
    """Connect the processes of a run on CPUs; on GPUs the Runner does it.

    mmengine chooses a GPU before it connects, so without a GPU the processes
    must be connected earlier. Settings that only fit a GPU are changed in
    place.

    Args:
        config: with `launcher`.

    Raises:
        ValueError: the launcher has not started this process, or there are
            fewer GPUs than processes.
    """
    launcher = config.launcher
    if launcher == 'none':
        return
    if launcher == 'pytorch':
        _check_torchrun()
    if torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise ValueError(f'`launcher` {launcher!r} needs a GPU; none is here')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    place_on_cpu(config)


def end_processes() -> None:
    """Leave the group of processes together, if there is one.

    A process that leaves early can make the others abort.
    """
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def build_runner(
    config: Config, weights: str | None = None
) -> Runner | FlexibleRunner:
    """Build the model with its initial weights, and a Runner for it.

    Args:
        config: from `run_config`.
        weights: as for `start_model`.

    Returns:
        The Runner, ready for `train()`.

    Raises:
        ValueError: a setting is wrong, or weights are missing or do not fit.
    """
    check_training(config)
    check_launcher(config)
    check_device(config)
    kind = RUNNERS[config.get('runner_type', 'Runner')]
    # all ranks need the same initial weights; the Runner seeds each anew
    set_random_seed(config.get('randomness', {}).get('seed') or 0)
    try:
        model = start_model(config, weights)
        names = _runner_arguments(kind)
        settings = copy.deepcopy(
            {k: v for k, v in config.items() if k in names and k != 'model'}
        )
        _drop_hooks(settings)
        for name in ('train_dataloader', 'val_dataloader'):
            if isinstance(settings.get(name), dict):
                keep_workers(settings[name])
        if not config.get('resume'):
            settings.pop('load_from', None)  # it is loaded
        runner = kind(model=model, cfg=without_device(config), **settings)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = config_error(error)
        if reason is None:
            raise
        raise ValueError(reason) from error
    origins = describe_origins(record_of(model).origins)
    runner.logger.info('\n  '.join(['weights:', *origins]))
    if config.get('strategy') is not None:
        runner.model.to(get_device())  # sharding does not move frozen parts
    return runner


def start_model(config: Config, weights: str | None = None) -> nn.Module:
    """Build a model with the weights that its training starts from.

    Args:
        config: with `model`; its `start_weights` names the files that differ
            from those of `weights`. Without `start_weights` and without the
            argument, what learns starts from random numbers.
        weights: a file, a folder or a word, as for `find_weights`, or a
            checkpoint of another training; None at resume for the files
            that the checkpoint's record names.

    Raises:
        ValueError: files are missing or do not fit, the model cannot be
            built, or frozen parts would be random numbers.
    """
    checkpoint = checkpoint_of(config)
    model = load_model(config, Source(checkpoint, weights, training=True))
    if hasattr(model, 'init_weights'):  # the Runner calls it
        setattr(model, 'init_weights', _keep_weights)  # noqa: B010
    return model


def _keep_weights() -> None:
    """Take the place of mmengine's `init_weights`, after which comes a list
    of all parameters in the log.
    """


def checkpoint_of(config: Config) -> str | None:
    """Return the checkpoint that a config continues or starts from."""
    hook = (config.get('default_hooks') or {}).get('checkpoint') or {}
    found = hook.get('resume_from') or config.get('load_from')
    if found is None and config.get('resume'):  # mmengine's own
        return config.work_dir
    return found


def config_error(error: Exception) -> str | None:
    """Return an error in a config as one line.

    Args:
        error: any exception.

    Returns:
        The line; None if the error is a defect and not a wrong setting.
    """
    lines = str(error.args[0] if error.args else error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    if isinstance(error, ValueError):
        return '\n'.join([_BUILDER.sub('', text), *lines[1:]])
    return text if _WRONG_SETTING.match(text) else None


def _runner_arguments(kind: type) -> list[str]:
    names = inspect.signature(kind).parameters
    return [name for name in names if name != 'cfg']


def _drop_hooks(settings: dict) -> None:
    """Remove hooks that are None; mmengine does so only for its own."""
    hooks = settings.get('default_hooks') or {}
    for name in [n for n, hook in hooks.items() if hook is None]:
        if name not in _STOCK_HOOKS:
            del hooks[name]


def _set_seed(config: Config, seed: int) -> None:
    """Set the seed of initial weights, and of a data set that has one."""
    config.setdefault('randomness', ConfigDict())
    config.randomness.seed = seed
    loader = config.get('train_dataloader') or ConfigDict()
    dataset = loader.get('dataset') or ConfigDict()
    kind = DATASETS.get(dataset.type) if 'type' in dataset else None
    if kind is not None and 'seed' in inspect.signature(kind).parameters:
        dataset.seed = seed


def _set_amp(config: Config) -> None:
    wrapper = config.get('optim_wrapper')
    kind = None if wrapper is None else wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', _AMP):
        raise ValueError(
            f'`amp` needs `optim_wrapper` of type OptimWrapper, got {kind!r}'
        )
    wrapper.type = _AMP


def _check_torchrun() -> None:
    missing = [
        name
        for name in ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')
        if name not in os.environ
    ]
    if missing:
        raise ValueError(
            "`launcher` 'pytorch' is for processes that torchrun starts "
            f'({", ".join(missing)} not set): use --gpus N'
        )
    count, rank = torch.cuda.device_count(), int(os.environ['LOCAL_RANK'])
    if torch.cuda.is_available() and rank >= count:
        raise ValueError(
            f'process {rank} has no GPU: this machine shows {count}'
        )
