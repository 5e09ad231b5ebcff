"""Postpones what mmengine imports for trainings alone.

`mmengine.model` imports every package that might have an optimizer, such as
transformers and bitsandbytes, and torch's sharding, which brings sympy. That
takes longer than all of torch, and who restores a clip uses none of it.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from mmengine.registry import MODEL_WRAPPERS, OPTIMIZERS

TRAINING = 'mmengine.runner'
_LOCATION = 'star.utils.training_parts'
_BUILDER = 'mmengine.optim.optimizer.builder'
# what `_BUILDER` looks for, the last first: a name that two packages have
# belongs to the first; and the list where it notes what it found
_OPTIMIZERS = {
    'transformers': 'transformers',
    'bitsandbytes': 'bitsandbytes',
    'Sophia': 'sophia',
    'lion_pytorch': 'lion',
    'dadaptation': 'dadaptation',
}
# modules of one class each, and the packages that export it
_CLASSES = {
    'mmengine.optim.optimizer.zero_optimizer': (
        'ZeroRedundancyOptimizer',
        ('mmengine.optim.optimizer', 'mmengine.optim'),
    ),
    'mmengine.model.wrappers.fully_sharded_distributed': (
        'MMFullyShardedDataParallel',
        ('mmengine.model.wrappers', 'mmengine.model'),
    ),
}
_postponed: list[str] = []  # keys of the two, taken from the end


def postpone_training_parts() -> None:
    """Import `mmengine.model` without what only trainings need.

    Nothing is lost: the rest is imported, and registered, with the first
    import of `mmengine.runner`, without which no training runs, with the
    first name that is looked up in the registries, and with the first use of
    a postponed class. The function does nothing where somebody else has
    imported these packages before.
    """
    if {'mmengine.model', 'mmengine.optim'} & sys.modules.keys():
        return
    hidden = [name for name in _OPTIMIZERS if name not in sys.modules]
    with _stand_ins(hidden):
        importlib.import_module('mmengine.model')
    _postponed.extend([*hidden, *_CLASSES])
    for module, (name, packages) in _CLASSES.items():
        for package in map(sys.modules.__getitem__, packages):
            delattr(package, name)
            found = _finder_of(package, name, module)
            vars(package)['__getattr__'] = found
    for registry in (MODEL_WRAPPERS, OPTIMIZERS):
        registry._locations = [*registry._locations, _LOCATION]
        registry._imported = False
    sys.meta_path.insert(0, _BeforeTraining())


def import_training_parts() -> None:
    """Import and register what was postponed."""
    builder = importlib.import_module(_BUILDER)
    while _postponed:
        name = _postponed.pop()
        if name in _CLASSES:
            importlib.import_module(name)
            continue
        part = _OPTIMIZERS[name]
        register = getattr(builder, f'register_{part}_optimizers')
        setattr(builder, f'{part.upper()}_OPTIMIZERS', register())


@contextmanager
def _stand_ins(hidden: Sequence[str]) -> Iterator[None]:
    """Let packages seem absent, and each module of `_CLASSES` be empty."""
    names = [*hidden, *_CLASSES]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    for name, (own, _) in _CLASSES.items():
        sys.modules[name] = ModuleType(name)
        setattr(sys.modules[name], own, None)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def _finder_of(
    package: ModuleType, name: str, module: str
) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package that lacks a postponed class."""

    def find(wanted: str) -> Any:
        if wanted != name:
            raise AttributeError(
                f'module {package.__name__!r} has no attribute {wanted!r}'
            )
        found = getattr(importlib.import_module(module), name)
        setattr(package, name, found)
        return found

    return find


class _BeforeTraining:
    """Imports what was postponed before `mmengine.runner`; finds nothing."""

    def find_spec(
        self, name: str, path: Any = None, target: Any = None
    ) -> ModuleSpec | None:
        """Return None: the other finders find the module."""
        if name == TRAINING:
            sys.meta_path.remove(self)
            import_training_parts()
        return None
