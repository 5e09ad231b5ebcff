"""Ranges of the numbers that decide a training."""

import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

# pattern of a dotted key, whether it is a whole number, its least value
_RULES = (
    ('train_cfg.max_iters', True, 1),
    ('train_cfg.max_epochs', True, 1),
    ('train_cfg.val_interval', True, 1),
    ('*_dataloader.batch_size', True, 1),
    ('*_dataloader.num_workers', True, 0),
    ('*dataset*.num_frames', True, 1),
    ('*.pipeline.*.height', True, 1),
    ('*.pipeline.*.width', True, 1),
    ('optim_wrapper.accumulative_counts', True, 1),
    ('optim_wrapper.optimizer.lr', False, 0),
    ('optim_wrapper.optimizer.weight_decay', False, 0),
    ('optim_wrapper.clip_grad.max_norm', False, 0),
    ('auto_scale_lr.base_batch_size', True, 1),
    ('param_scheduler*.begin', True, 0),
    ('param_scheduler*.end', True, 1),
    ('param_scheduler*.T_max', True, 1),
)
_OPTIONAL = ('*.num_frames', '*.T_max', '*.height', '*.width')  # may be None


def check_number(key: str, value: Any) -> None:
    """Refuse a number that is out of range.

    Args:
        key: dotted name of a setting; most have no rule.
        value: of the setting.

    Raises:
        ValueError: naming the setting, the rule and the value.
    """
    if value is None and any(fnmatchcase(key, name) for name in _OPTIONAL):
        return
    for pattern, whole, least in _RULES:
        if fnmatchcase(key, pattern):
            kinds = (int,) if whole else (int, float)
            number = isinstance(value, kinds) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or value < least:
                kind = 'a whole number' if whole else 'a number'
                raise ValueError(
                    f'config setting {key} must be {kind} of at least '
                    f'{least}, got {value!r}'
                )


def check_numbers(config: Mapping[str, Any]) -> None:
    """Refuse numbers of a config that are out of range.

    Raises:
        ValueError: naming the first.
    """
    for key, value in _leaves(config, ''):
        check_number(key, value)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """List the numbers and words in a config by dotted key."""
    if isinstance(node, Mapping):
        items = list(node.items())
    elif isinstance(node, list | tuple):
        items = list(enumerate(node))
    else:
        yield path, node
        return
    for name, inner in items:
        yield from _leaves(inner, f'{path}.{name}' if path else str(name))
