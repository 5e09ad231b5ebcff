"""Check that a dotted key leads to a setting of a config."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.registry import (
    LOOPS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
)
from mmengine.runner import set_random_seed
from torch.utils.data import DataLoader

from star.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

_REGISTRIES = (
    *(MODELS, DATASETS, TRANSFORMS, METRICS, HOOKS),
    *(LOOPS, OPTIMIZERS, OPTIM_WRAPPERS, PARAM_SCHEDULERS),
)
_NAMED = (
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)
# entries without a type, and the function or class that reads them
_READERS = {
    'randomness': set_random_seed,
    'test_dataloader': DataLoader,
    'train_dataloader': DataLoader,
}


def check_key(config: Mapping[str, Any], key: str) -> None:
    """Refuse a key that no part of the config reads.

    A setting at its default is not in the config: the class that has the
    argument must know it. Below `model` some wrong keys pass; building the
    model refuses them.

    Args:
        config: as read from its file.
        key: dotted, such as 'model.losses.frequency.alpha'.

    Raises:
        ValueError: the config has no such setting.
    """
    node: Any = config
    parts = key.split('.')
    for index, part in enumerate(parts):
        names = _names(node)
        if part in names:
            node = node[int(part) if isinstance(node, list) else part]
        elif _may_be_added(node, parts, index):
            return
        else:
            raise ValueError(
                f'config has no setting {key!r}{_hint(part, names)}'
            )


def check_value(config: Mapping[str, Any], key: str, value: object) -> None:
    """Refuse a value in place of an entry that has settings of its own.

    Args:
        config: as read from its file.
        key: that `check_key` accepts.
        value: None switches an entry off.

    Raises:
        ValueError: the entry is a dictionary, and the value is none.
    """
    node: Any = config
    for part in key.split('.'):
        if part not in _names(node):
            return
        node = node[int(part) if isinstance(node, list) else part]
    if not hasattr(node, 'keys') or isinstance(value, dict):
        return
    if value is not None or key == 'model':
        raise ValueError(
            f'config setting {key!r} is a dictionary and cannot be {value!r}: '
            f'choose one of its entries, {", ".join(map(str, node))}'
        )


@contextmanager
def name_keys(keys: Iterable[str]) -> Iterator[None]:
    """Name the changed keys in an error that names none of them.

    Args:
        keys: dotted, that a sweep sets.

    Raises:
        ValueError: what the body raises.
    """
    named = list(dict.fromkeys(keys))
    try:
        yield
    except ValueError as error:
        if not named or any(key in str(error) for key in named):
            raise
        raise ValueError(
            f'{error}; the sweep sets {", ".join(named)}'
        ) from error


def accepts(kind: Callable[..., Any], name: str) -> bool:
    """Return whether a class or function has an argument of this name.

    `**kwargs` of a class are those of its base; without a base that names its
    arguments, and in a function, they count as any name.
    """
    readers = [kind]
    if isinstance(kind, type):
        classes = [vars(c) for c in kind.__mro__ if c is not object]
        readers = [c['__init__'] for c in classes if '__init__' in c]
    for reader in readers:
        kinds = {
            n: p.kind for n, p in inspect.signature(reader).parameters.items()
        }
        if kinds.get(name) in _NAMED and name != 'self':
            return True
        if inspect.Parameter.VAR_KEYWORD not in kinds.values():
            return False
    return bool(readers)


def _names(node: Any) -> list[str]:
    if isinstance(node, list):
        return [str(i) for i in range(len(node))]
    return list(node) if hasattr(node, 'keys') else []


def _may_be_added(node: Any, parts: list[str], index: int) -> bool:
    """Return whether a class reads a setting that is not in the config."""
    if index == 0 or not hasattr(node, 'keys'):
        return False
    kind = _find(node.get('type'))
    if index == 1 and kind is None:
        kind = _READERS.get(parts[0])
    if kind is not None:
        return accepts(kind, parts[index])
    return parts[0] == 'model' and (index > 1 or 'type' in node)


def _find(kind: Any) -> Callable[..., Any] | None:
    if not isinstance(kind, str):
        return None
    found = (registry.get(kind) for registry in _REGISTRIES)
    return next((each for each in found if each is not None), None)


def _hint(part: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(part, names, 1)
    return f': did you mean {close[0]!r}?' if close else ''
