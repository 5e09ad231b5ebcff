"""Flatten configs to dotted names, and name the differences of two."""

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

_SHOWN = 3  # differences that a message names
_LENGTH = 60  # characters of a value that a message shows


def flatten(
    config: Any, name: str = '', split_lists: bool = True
) -> dict[str, str]:
    """List the leaves of nested containers by dotted name.

    Args:
        config: mappings, lists and tuples of any values. An empty mapping
            has no leaves, an empty list is one.
        name: dotted name of `config`.
        split_lists: list the items of lists by index; else a list is a leaf.

    Returns:
        Values as Python writes them; a list and a tuple of equal items are
        the same.
    """
    return dict(_leaves(config, name, split_lists))


def describe_differences(
    there: Mapping[str, str],
    here: Mapping[str, str],
    may_differ: Iterable[str] = (),
) -> str:
    """Name the first entries in which two flat configs differ.

    Args:
        there: of what was saved, as `flatten` gives it.
        here: of what is to be done now.
        may_differ: patterns of names that are not compared.

    Returns:
        One line with the values of each; empty where none differs.
    """
    patterns = tuple(may_differ)
    names = [
        name
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
        and not any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
    shown = ', '.join(
        f'{name} is {_short(there.get(name))} there and '
        f'{_short(here.get(name))} here'
        for name in names[:_SHOWN]
    )
    more = len(names) - _SHOWN
    return f'{shown} and {more} more' if more > 0 else shown


def _leaves(
    value: Any, name: str, split_lists: bool
) -> Iterator[tuple[str, str]]:
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, list) and value and split_lists:
        items = list(enumerate(value))
    else:
        yield name, repr(value)
        return
    for key, item in items:
        inner = f'{name}.{key}' if name else str(key)
        yield from _leaves(item, inner, split_lists)


def _short(value: str | None) -> str:
    text = 'not set' if value is None else value
    return text if len(text) <= _LENGTH else f'{text[: _LENGTH - 3]}...'
