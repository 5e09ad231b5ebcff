"""Test a model on the sets that a config names."""

import copy
import json
from pathlib import Path

from mmengine.config import Config, ConfigDict
from torch import nn

from star.apis.training import start_model
from star.models.checkpoints import load_checkpoint_file, unwrap

METRICS_FILE = 'metrics.json'
_TRAINING = (
    'auto_scale_lr',
    'custom_hooks',
    'optim_wrapper',
    'param_scheduler',
    'runner_type',
    'strategy',
    'train_cfg',
    'train_dataloader',
)
_HOOKS = ('logger', 'timer')
_TRAINED, _AVERAGED = 'weights.safetensors', 'ema.safetensors'


def check_testing(config: Config) -> None:
    """Refuse a config that tests nothing.

    Raises:
        ValueError: naming what is absent.
    """
    parts = ('test_dataloader', 'test_evaluator', 'test_cfg')
    absent = [part for part in parts if config.get(part) is None]
    if absent:
        raise ValueError(
            f'config {config.filename} lacks {", ".join(absent)}: what to '
            'test on, and by which metrics'
        )


def without_training(config: Config) -> Config:
    """Take what only serves training out of a config.

    Args:
        config: unchanged.
    """
    config = copy.deepcopy(config)
    for name in _TRAINING:
        config.pop(name, None)
    hooks = config.get('default_hooks') or {}
    kept = {name: hooks[name] for name in _HOOKS if name in hooks}
    off = {'param_scheduler': None, 'checkpoint': None}
    config.default_hooks = ConfigDict({**kept, **off})
    # unlike the others it takes a model without anything to train
    wrapper = {'type': 'MMSeparateDistributedDataParallel'}
    config.model_wrapper_cfg = ConfigDict(wrapper)
    return config


def trained_model(
    config: Config,
    checkpoint: str | Path,
    weights: str | None = None,
    averaged: bool = False,
) -> nn.Module:
    """Build a config's model with the weights that a training left, frozen.

    Args:
        config: with `model`; what was not trained comes from the files that
            `start_weights` and `weights` name, as in the training.
        checkpoint: a checkpoint's folder `iter_N`; a file of tensors with
            all or the trained ones; one of the words that the config's
            `weights` knows; or 'none' for a method without weights.
        weights: where the training started from, as for `start_model`.
        averaged: take the averaged weights of a folder.

    Raises:
        ValueError: there is no such checkpoint, or it does not fit.
    """
    path = Path(checkpoint)
    if str(checkpoint) == 'none':
        return start_model(config, weights).requires_grad_(False)
    if str(checkpoint) in config.get('weights', {}).get('variants', {}):
        model = start_model(config, str(checkpoint))
        return model.requires_grad_(False)
    if not path.exists():
        raise ValueError(f'there is no checkpoint {str(checkpoint)!r}')
    if path.is_dir():
        path = path / (_AVERAGED if averaged else _TRAINED)
    model = start_model(config, weights)
    load_trained(model, path)
    return model.requires_grad_(False)


def load_trained(model: nn.Module, path: Path) -> None:
    """Load a file that holds at least what the model trains.

    Args:
        model: where to; keeps its dtype and device.
        path: the file.

    Raises:
        ValueError: a trained tensor is absent, or one has no place.
    """
    state = unwrap(load_checkpoint_file(path))
    own = model.state_dict()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    problems = {
        'missing': trained - state.keys(),
        'unknown': state.keys() - own.keys(),
        'of another shape': {
            name
            for name in own.keys() & state.keys()
            if own[name].shape != state[name].shape
        },
    }
    found = [
        f'{len(names)} tensors {what} ({min(names)} ...)'
        for what, names in problems.items()
        if names
    ]
    if found:
        raise ValueError(f'{path} does not fit the model: {", ".join(found)}')
    model.load_state_dict(state, strict=False)


def save_metrics(metrics: dict[str, float], folder: str | Path) -> Path:
    """Write what a test gave as JSON.

    Args:
        metrics: means by `SET/METRIC`.
        folder: where to.

    Returns:
        The file's path.
    """
    path = Path(folder) / METRICS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(metrics, indent=2) + '\n', encoding='utf-8')
    return path
