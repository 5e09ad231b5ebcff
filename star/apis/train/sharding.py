"""Checks of a config whose training is sharded or otherwise distributed."""

import copy

import torch
from mmengine.config import Config, ConfigDict

from star.registry import HOOKS

# strategies with which a run can be saved and resumed
_STRATEGIES = ('SingleDeviceStrategy', 'DDPStrategy', 'FSDPStrategy')
_HOW = '`star train CONFIG --gpus N` or `tools/dist_train.sh CONFIG N`'


def is_sharded(config: Config) -> bool:
    """Return whether a config shares its model out over processes."""
    return _name((config.get('strategy') or {}).get('type')) == _STRATEGIES[2]


def check_strategy(config: Config) -> None:
    """Refuse settings of a sharded training that cannot be kept.

    Raises:
        ValueError: the strategy is unknown or would be ignored, or the run
            could not be saved.
    """
    wrapper = config.get('model_wrapper_cfg') or {}
    if 'FullyShardedDataParallel' in _name(wrapper.get('type')):
        raise ValueError(
            f'`model_wrapper_cfg` of type {_name(wrapper["type"])} is not '
            'supported: shard with `strategy`, as configs/star/i2vgen_fsdp.py '
            'does'
        )
    strategy = config.get('strategy')
    if strategy is None:
        return
    if _name(strategy.get('type')) not in _STRATEGIES:
        raise ValueError(
            f'`strategy.type` must be one of {", ".join(_STRATEGIES)}, got '
            f'{_name(strategy.get("type"))!r}'
        )
    if config.get('runner_type', 'Runner') != 'FlexibleRunner':
        raise ValueError(
            '`strategy` needs `runner_type = "FlexibleRunner"`, got '
            f'{config.get("runner_type", "Runner")!r}, which ignores it'
        )
    if is_sharded(config):
        _check_sharded(config)


def check_launcher(config: Config) -> None:
    """Refuse to train in one process what needs several.

    Args:
        config: with `launcher`.

    Raises:
        ValueError: no launcher has started this process.
    """
    kind = _name((config.get('strategy') or {}).get('type'))
    if config.get('launcher', 'none') == 'none' and kind in _STRATEGIES[1:]:
        raise ValueError(
            f'`strategy` {kind} needs processes that a launcher starts: use '
            f'{_HOW}'
        )


def place_on_cpu(config: Config) -> None:
    """Change settings of the wrapped model that only fit a GPU, in place."""
    if config.get('strategy') is None:
        if not config.get('model_wrapper_cfg'):
            config.model_wrapper_cfg = {}
        wrapper = config.model_wrapper_cfg
    else:
        wrapper = config.strategy.setdefault('model_wrapper', ConfigDict())
    if is_sharded(config):
        wrapper.device_id = torch.device('cpu')
    else:
        wrapper.device_ids = None


def without_device(config: Config) -> Config:
    """Return a config that can be written to a file."""
    if not is_sharded(config) or 'model_wrapper' not in config.strategy:
        return config
    config = copy.deepcopy(config)
    config.strategy.model_wrapper.pop('device_id', None)
    return config


def _check_sharded(config: Config) -> None:
    wrapper = config.strategy.get('model_wrapper') or {}
    if not wrapper.get('use_orig_params', True):
        raise ValueError(
            '`strategy.model_wrapper.use_orig_params` must be True, got '
            f'{wrapper["use_orig_params"]}: the parameters of a run are saved '
            'by name'
        )
    hooks = config.get('default_hooks') or {}
    checkpoint = (hooks.get('checkpoint') or {}).get('type')
    if not _is_hook(checkpoint, 'SafeCheckpointHook'):
        raise ValueError(
            '`default_hooks.checkpoint` of a sharded training must be a '
            f'SafeCheckpointHook, got {_name(checkpoint) or None}'
        )
    for hook in config.get('custom_hooks') or ():
        if _is_hook(hook.get('type'), 'EMAHook'):
            raise ValueError(
                'EMAHook copies a whole model, which no process has in a '
                'sharded training: use TrainedEMAHook'
            )


def _is_hook(kind: object, name: str) -> bool:
    """Return whether a hook's type is the named class or inherits it."""
    found = HOOKS.get(kind) if isinstance(kind, str) else kind
    base = HOOKS.get(name)
    return (
        isinstance(found, type)
        and base is not None
        and issubclass(found, base)
    )


def _name(kind: object) -> str:
    """Return a class's name, as a config gives it."""
    if kind is None:
        return ''
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', '')
    return name.rpartition('.')[2]
