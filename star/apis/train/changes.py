"""Changes of a config from the command line: keys and values are checked."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from mmengine.config import Config
from mmengine.dist import init_dist
from mmengine.runner import LogProcessor, Runner, set_random_seed
from mmengine.utils.dl_utils import set_multi_processing
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.utils.data import DataLoader

from star.apis.inference.build import build_model, on_meta
from star.apis.train.numbers import check_number
from star.apis.train.signatures import (
    ANY,
    arguments_of,
    describe_hint,
    find_class,
    fits,
    kind_of,
)
from star.utils.weight_files import WeightFile

# settings of a config that are no arguments of a Runner
_OTHER_KEYS = {
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'start_weights',
    'strategy',
    'sync_bn',
    'weights',
}
_LOADER = (DataLoader, ('num_batch_per_epoch', 'disable_subprocess_warning'))
# Entries without a type: what reads them, and further names. Below others,
# such as hooks and what a model's constructor takes, any name may be new.
_READERS: dict[str, tuple[Callable[..., Any] | None, Iterable[str]]] = {
    '': (Runner, _OTHER_KEYS),
    'auto_scale_lr': (None, ('enable', 'base_batch_size')),
    'custom_imports': (None, ('imports', 'allow_failed_imports')),
    'env_cfg': (
        None,
        ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    ),
    'env_cfg.dist_cfg': (init_dist, ('timeout', 'init_backend', 'port')),
    'env_cfg.mp_cfg': (set_multi_processing, ()),
    'optim_wrapper.clip_grad': (
        clip_grad_norm_,
        ('type', *inspect.signature(clip_grad_value_).parameters),
    ),
    'log_processor': (LogProcessor, ()),
    'randomness': (set_random_seed, ()),
    'test_dataloader': _LOADER,
    'train_cfg': (
        None,
        (
            *('by_epoch', 'max_iters', 'max_epochs'),
            *('val_begin', 'val_interval', 'dynamic_intervals'),
        ),
    ),
    'train_dataloader': _LOADER,
    'val_dataloader': _LOADER,
}
_PARTS = (
    *('asset', 'prompts', 'random', 'star', 'text', 'tokenizer', 'vae'),
    'variants',
)
_FILE = tuple(field.name for field in fields(WeightFile))
# names that a registry or the Runner reads before the class does
_ALWAYS = ('type', '_scope_', '_delete_', 'priority', 'init')
_BESIDE = {
    'optim_wrapper': ('constructor', 'paramwise_cfg'),
    'param_scheduler': ('convert_to_iter_based',),
}


def apply_changes(config: Config, changes: Mapping[str, Any]) -> None:
    """Replace values of a config in place.

    Args:
        config: to change.
        changes: values by dotted key, such as `train_cfg.max_iters`.

    Raises:
        ValueError: a key that nothing reads, or a value of a wrong kind; the
            line names both.
    """
    before = config.to_dict()
    for key, value in changes.items():
        _check_path(before, key, value)
    try:
        config.merge_from_dict(dict(changes))
    except (
        *(AssertionError, AttributeError, IndexError, KeyError, TypeError),
    ) as error:
        pairs = ', '.join(f'{key}={value}' for key, value in changes.items())
        raise ValueError(f'config cannot take {pairs}: {error}') from error
    after = config.to_dict()
    left = {
        name: leaf
        for key, value in changes.items()
        for name, leaf in _leaves(key, value)
        if not _check_key(before, after, name, leaf)
    }
    if left and 'model' in before:
        _check_building(config, left)


def _check_building(config: Config, changes: Mapping[str, Any]) -> None:
    """Refuse what only a constructor of the model can refuse."""
    try:
        with on_meta():
            build_model(config)
    except ValueError as error:
        pairs = ', '.join(f'{key}={value}' for key, value in changes.items())
        raise ValueError(f'config cannot take {pairs}: {error}') from error


def _check_path(config: Mapping[str, Any], key: str, value: Any) -> None:
    """Refuse a key of an unknown setting, list item or part of a value."""
    known = {*config, *_OTHER_KEYS, *inspect.signature(Runner).parameters}
    known -= {'cfg'}
    first, *rest = key.split('.')
    if first not in known:
        inside = [name for name in _paths(config) if name.endswith(f'.{key}')]
        raise _no_setting(key, value, first, inside[:1] or known)
    node: Any = config.get(first)
    for part in rest:
        names = _names(node)
        whole = isinstance(node, Mapping) or (
            node is None and part.isidentifier()
        )
        if part not in names and not whole:
            raise _no_setting(key, value, part, names)
        node = _child(node, part) if part in names else None


def _paths(config: Any, path: str = '') -> Iterator[str]:
    """List the dotted keys of a config."""
    for name in _names(config):
        inner = f'{path}.{name}' if path else name
        yield inner
        yield from _paths(_child(config, name), inner)


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """List a change, or the entries of a dictionary, by dotted key."""
    if not isinstance(value, Mapping) or not value:
        yield key, value
        return
    for name, inner in value.items():
        yield from _leaves(f'{key}.{name}', inner)


def _check_key(
    before: Any, after: Mapping[str, Any], key: str, value: Any
) -> bool:
    """Refuse a key that nothing reads, and a value of a wrong kind.

    Args:
        before: the config without the changes.
        after: the config with them.
        key: dotted.
        value: that it gets.

    Returns:
        Whether all was checked; False if the model's constructors decide.

    Raises:
        ValueError: naming the key and the value.
    """
    node, old = after, before
    parts = key.split('.')
    hint, known = ANY, True
    for index, part in enumerate(parts):
        names = _names(old)
        found = _reading(node, parts[:index], part)
        known, hint = found.certain, found.hint
        if part not in names and not found.reads:
            raise _no_setting(key, value, part, {*names, *found.others})
        old = _child(old, part) if part in names else None
        node = _child(node, part)
    if parts[-1] == '_delete_':
        return True
    check_number(key, value)
    if hint is ANY or _replaces(old, value, hint):
        hint = kind_of(old)
    if not fits(value, hint):
        raise ValueError(
            f'config setting {key} must be {describe_hint(hint)}, got '
            f'{value!r}{_quoting(hint, value)}'
        )
    return known or parts[0] != 'model'


def _replaces(old: Any, value: Any, hint: Any) -> bool:
    """Return whether a word or number stands where there was a container.

    An annotation may name a class, whose name a config may give; not here.
    """
    container = isinstance(old, Mapping | list | tuple)
    scalar = isinstance(value, str | int | float)
    return container and scalar and type(value) not in get_args(hint)


@dataclass(frozen=True)
class _Reading:
    """Facts on an entry of a config.

    Args:
        reads: something reads it.
        hint: annotation of the argument.
        others: names that are read beside it.
        certain: no constructor has to decide.
    """

    reads: bool
    hint: Any = ANY
    others: Iterable[str] = ()
    certain: bool = True


def _reading(node: Any, path: list[str], name: str) -> _Reading:
    """Find what reads an entry of a node at a path."""
    if not isinstance(node, Mapping):
        return _Reading(False)
    where = '.'.join(path)
    further: Iterable[str] = ()
    kind = find_class(node.get('type')) if 'type' in node else None
    if kind is not None:
        further = (*_ALWAYS, *_BESIDE.get(where.rstrip('.0123456789'), ()))
    elif where in _READERS:
        kind, further = _READERS[where]
    elif where == 'default_hooks':
        hook = node.get(name)
        typed = isinstance(hook, Mapping) and 'type' in hook
        return _Reading(hook is None or typed, Mapping | None)
    elif path[0] in ('weights', 'start_weights') and path[1:] != ['variants']:
        further = _PARTS if len(path) == 1 else _FILE
    else:
        return _Reading(True, certain=False)
    found, passes = arguments_of(kind) if kind is not None else ({}, False)
    reads = name in found or name in further or passes
    return _Reading(reads, found.get(name, ANY), {*found, *further})


def _names(node: Any) -> list[str]:
    if isinstance(node, list):
        return [str(i) for i in range(len(node))]
    return list(node) if isinstance(node, Mapping) else []


def _child(node: Any, name: str) -> Any:
    if isinstance(node, list):
        return node[int(name)]
    return node.get(name) if isinstance(node, Mapping) else None


def _no_setting(
    key: str, value: Any, part: str, names: Iterable[str]
) -> ValueError:
    """Describe a key that nothing reads, because `part` is not in `names`."""
    close = difflib.get_close_matches(part, names, 1) or [
        name for name in names if name.endswith(f'.{key}')
    ]
    hint = f': did you mean {close[0]!r}?' if close else ''
    return ValueError(f'config has no setting {key!r} (given {value!r}){hint}')


def _quoting(hint: Any, value: Any) -> str:
    """Advise to quote what was meant as text."""
    if isinstance(value, str) or value is None or not fits('', hint):
        return ''
    return ': put text into quotes of its own, KEY=\'"TEXT"\''
