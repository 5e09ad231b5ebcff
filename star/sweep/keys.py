"""Check that a dotted key leads to a setting of a config."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
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


def accepts(kind: Callable[..., Any], name: str) -> bool:
    """Return whether a class or function has an argument of this name.

    `**kwargs` counts as any name.
    """
    found = inspect.signature(kind).parameters
    return name in found or any(
        p.kind is inspect.Parameter.VAR_KEYWORD for p in found.values()
    )


def _names(node: Any) -> list[str]:
    if isinstance(node, list):
        return [str(i) for i in range(len(node))]
    return list(node) if hasattr(node, 'keys') else []


def _may_be_added(node: Any, parts: list[str], index: int) -> bool:
    """Return whether a class reads a setting that is not in the config."""
    if index == 0:
        return False
    kind = _find(node.get('type')) if hasattr(node, 'keys') else None
    if index == 1 and kind is None:
        kind = _READERS.get(parts[0])
    if kind is not None:
        return accepts(kind, parts[index])
    return parts[0] == 'model'


def _find(kind: Any) -> Callable[..., Any] | None:
    if not isinstance(kind, str):
        return None
    found = (registry.get(kind) for registry in _REGISTRIES)
    return next((each for each in found if each is not None), None)


def _hint(part: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(part, names, 1)
    return f': did you mean {close[0]!r}?' if close else ''
