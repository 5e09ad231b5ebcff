"""The settings that classes read, and the values that they take."""

import inspect
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mmengine.registry import (
    DATA_SAMPLERS,
    FUNCTIONS,
    LOG_PROCESSORS,
    LOOPS,
    MODEL_WRAPPERS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    RUNNERS,
    STRATEGIES,
    VISBACKENDS,
    VISUALIZERS,
)

from star.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS

ANY = inspect.Parameter.empty
_REGISTRIES = (
    *(MODELS, DATASETS, TRANSFORMS, METRICS, HOOKS, LOOPS),
    *(OPTIM_WRAPPERS, OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS),
    *(DATA_SAMPLERS, FUNCTIONS, LOG_PROCESSORS, MODEL_WRAPPERS, RUNNERS),
    *(VISBACKENDS, VISUALIZERS, OPTIMIZERS, STRATEGIES),
)
_LISTS = (list, tuple, Sequence, Iterable, set, frozenset)
_KINDS: dict[Any, Any] = {
    bool: bool,
    int: int,
    float: (int, float),
    str: str,
    None: types.NoneType,
    types.NoneType: types.NoneType,
}
_WORDS = {
    bool: 'true or false',
    int: 'a whole number',
    float: 'a number',
    str: 'text',
    types.NoneType: 'None',
}


def find_class(kind: Any) -> Callable[..., Any] | None:
    """Find what a config's `type` names; None if nothing is known."""
    if callable(kind):
        return kind
    if not isinstance(kind, str):
        return None
    found = (registry.get(kind) for registry in _REGISTRIES)
    return next((each for each in found if each is not None), None)


def arguments_of(kind: Callable[..., Any]) -> tuple[dict[str, Any], bool]:
    """List the arguments of a class or function.

    A class that passes further arguments on has those of its bases too.

    Args:
        kind: the class or function.

    Returns:
        The annotation of each argument by name, `ANY` without one; and
        whether any further name is taken.
    """
    makers = [kind]
    if inspect.isclass(kind):
        inits = (vars(base).get('__init__') for base in kind.__mro__)
        makers = [init for init in inits if init is not None]
    found: dict[str, Any] = {}
    for make in makers:
        passes = False
        hints = _hints(make)
        for name, each in _parameters(make).items():
            passes |= each.kind is inspect.Parameter.VAR_KEYWORD
            if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY):
                found.setdefault(name, hints.get(name, ANY))
        if not passes:
            break
    else:
        passes = True
    found.pop('self', None)
    return found, passes


def default_of(kind: Callable[..., Any] | None, name: str) -> Any:
    """Return the default of an argument; None if it has none."""
    if kind is None or name not in _parameters(kind):
        return None
    found = _parameters(kind)[name].default
    return None if found is ANY else found


def fits(value: Any, hint: Any) -> bool:
    """Return whether a config's value can be meant for an annotation.

    A dictionary or a name may stand for an object, a list for any sequence.

    Args:
        value: numbers, words, None, lists and dictionaries.
        hint: an annotation, or `ANY`.
    """
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (ANY, Any, object):
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin in _KINDS:
        flag = isinstance(value, bool)
        return flag == (origin is bool) and isinstance(value, _KINDS[origin])
    if origin in _LISTS:
        return isinstance(value, list | tuple) and _items_fit(value, inner)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping)
    return isinstance(value, Mapping | str)


def describe_hint(hint: Any) -> str:
    """Describe an annotation in words."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, types.UnionType):
        words = dict.fromkeys(describe_hint(each) for each in inner)
        return ' or '.join(words)
    if origin is Literal:
        return f'one of {", ".join(map(str, inner))}'
    if origin in _LISTS:
        kinds = [each for each in inner if each is not Ellipsis]
        words = dict.fromkeys(f'{describe_hint(each)}' for each in kinds)
        return f'a list of {", ".join(words)}' if words else 'a list'
    if origin in (dict, Mapping):
        return 'a dictionary'
    return _WORDS.get(origin, 'an object')


def kind_of(value: Any) -> Any:
    """Return the annotation that fits a value of a config and its like."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, int | float):
        return float | None
    if isinstance(value, str):
        return str | None
    if isinstance(value, list | tuple):
        return list | None
    return Mapping | None if isinstance(value, Mapping) else ANY


def _items_fit(values: Sequence[Any], inner: tuple[Any, ...]) -> bool:
    if not inner:
        return True
    if len(inner) == 1 or inner[-1] is Ellipsis:
        return all(fits(value, inner[0]) for value in values)
    return len(values) == len(inner) and all(map(fits, values, inner))


def _parameters(make: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError):  # such as one written in C
        return {}


def _hints(make: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(make)
    except Exception:  # an annotation may name what is not imported
        return {}
