"""What a sweep runs: configs, values of a grid, seeds."""

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_UNSAFE = re.compile(r'[^A-Za-z0-9._=+-]+')
_LONGEST = 120  # characters of a folder's name; systems take 255
_OPEN, _CLOSE = '([{', ')]}'


@dataclass(frozen=True)
class Setting:
    """One row of the sweep's table.

    Args:
        name: of the folder, and in tables.
        config: file, as it was given.
        changes: texts by dotted key, as `--cfg-options` takes them.
    """

    name: str
    config: str
    changes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Run:
    """A setting with a seed: what is trained and tested once.

    Args:
        setting: what is asked.
        seed: of weights and data.
    """

    setting: Setting
    seed: int

    @property
    def name(self) -> str:
        """Path of the run's folder below that of all runs."""
        return f'{self.setting.name}/seed_{self.seed}'


def parse_grid(text: str) -> tuple[str, list[str]]:
    """Read KEY=V1,V2; commas within brackets belong to a value.

    Args:
        text: as it was typed.

    Returns:
        The key and the texts of its values.

    Raises:
        ValueError: it is nothing of the kind, or a value stands twice.
    """
    key, equals, values = text.partition('=')
    found = [part.strip() for part in _split(values)]
    if not (key and equals and all(found)):
        raise ValueError(f'--grid takes KEY=V1,V2,..., got {text!r}')
    seen: dict[object, str] = {}
    for value in found:
        if seen.setdefault(_same(value), value) is not value:
            raise ValueError(f'--grid {key}: {value} stands there twice')
    return key, found


def expand(configs: Sequence[str], grids: Sequence[str]) -> list[Setting]:
    """List the settings of a sweep: every config at every point of the grid.

    Args:
        configs: files.
        grids: each as for `parse_grid`; none for the configs as they are.

    Raises:
        ValueError: a wrong grid, or two settings of one name.
    """
    axes = [parse_grid(text) for text in grids]
    keys = [key for key, _ in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f'--grid {key} is given twice')
    points = list(itertools.product(*(values for _, values in axes)))
    settings = [
        make_setting(config, dict(zip(keys, point, strict=True)))
        for config in configs
        for point in points
    ]
    check_names(settings)
    return settings


def make_setting(config: str, changes: Mapping[str, str]) -> Setting:
    """Name a config with changes: `tiny-alpha=0.5`.

    The name depends on the config's name and the changes alone, so that it is
    the same at every start.

    Args:
        config: its file.
        changes: texts by dotted key.
    """
    short = _short_keys(changes)
    parts = [f'{short[key]}={value}' for key, value in changes.items()]
    name = '-'.join([Path(config).stem, *parts])
    return Setting(_file_name(name), config, tuple(changes.items()))


def check_names(settings: Iterable[Setting]) -> None:
    """Refuse settings that would share a folder.

    Raises:
        ValueError: naming the first two.
    """
    seen: dict[str, Setting] = {}
    for setting in settings:
        other = seen.setdefault(setting.name, setting)
        if other is not setting:
            raise ValueError(
                f'{other.config} and {setting.config} are both named '
                f'{setting.name!r}: give one file another name'
            )


def number(text: str) -> float | None:
    """Read a plain number; None for any other text."""
    try:
        return float(text)
    except ValueError:
        return None


def _split(text: str) -> list[str]:
    """Split at the commas outside of brackets."""
    parts, depth = [''], 0
    for sign in text:
        depth += (sign in _OPEN) - (sign in _CLOSE)
        if sign == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += sign
    return parts


def _same(value: str) -> object:
    """Give 0.5 and 0.50 one identity."""
    found = number(value)
    return value if found is None else found


def _short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Shorten dotted keys to as many last parts as tell them apart."""
    parts = {key: key.split('.') for key in keys}
    short = {}
    for key, own in parts.items():
        others = [p for k, p in parts.items() if k != key]
        count = next(
            (n for n in range(1, len(own)) if _is_alone(own[-n:], others)),
            len(own),
        )
        short[key] = '.'.join(own[-count:])
    return short


def _is_alone(tail: list[str], others: list[list[str]]) -> bool:
    return all(other[-len(tail) :] != tail for other in others)


def _file_name(name: str) -> str:
    """Make a text fit for a folder; what is lost comes back as a digest."""
    safe = _UNSAFE.sub('_', name)
    if safe == name and len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f'{safe[:_LONGEST]}-{digest}'
