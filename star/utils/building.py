"""Building of named parts, some of which may be unavailable."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeVar

from star.utils.errors import error_line

# what a part raises whose package, weights or download is missing
_MISSING = (ImportError, OSError, RuntimeError, ValueError)


class Named(Protocol):
    """A part with a name."""

    name: str


T = TypeVar('T', bound=Named)


def build_available(
    configs: Iterable[Mapping[str, Any]],
    build: Callable[[Mapping[str, Any]], T],
) -> tuple[dict[str, T], list[str]]:
    """Build parts by name; skip those whose package or weights are missing.

    Args:
        configs: of the parts, with `type`.
        build: builds one part.

    Returns:
        The parts, and one line for each that was skipped.

    Raises:
        ValueError: two parts have one name.
    """
    parts: dict[str, T] = {}
    problems = []
    for config in configs:
        try:
            part = build(config)
        except _MISSING as error:
            problems.append(f'{config["type"]}: {error_line(error)}')
            continue
        if part.name in parts:
            raise ValueError(f'two parts have the name {part.name}')
        parts[part.name] = part
    return parts, problems
