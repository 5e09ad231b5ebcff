"""Runs of a sweep: configs, values of a grid, seeds."""

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from star.utils.text import read_number

_UNSAFE = re.compile(r'[^A-Za-z0-9._=+-]+')
_LONGEST = 120  # characters of a folder's name; the limit is 255
_OPEN, _CLOSE = '([{', ')]}'


@dataclass(frozen=True)
class Setting:
    """A config with changes: one row of the sweep's table.

    Args:
        name: of the folder, and in tables.
        config: file, as the user gave it.
        changes: dotted keys and values as texts, as for `--cfg-options`.
    """

    name: str
    config: str
    changes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Run:
    """A setting with a seed, trained and tested once.

    Args:
        setting: of the sweep.
        seed: of weights and data.
    """

    setting: Setting
    seed: int

    @property
    def name(self) -> str:
        """Path of the run's folder within the folder of all runs."""
        return f'{self.setting.name}/seed_{self.seed}'


def parse_grid(text: str) -> tuple[str, list[str]]:
    """Read KEY=V1,V2; commas within brackets belong to a value.

    Args:
        text: as the user typed it.

    Returns:
        The key, and its values as texts.

    Raises:
        ValueError: the text has another form, or repeats a value.
    """
    key, equals, values = text.partition('=')
    found = [value.strip() for value in _split(values)]
    if not (key and equals and all(found)):
        raise ValueError(f'--grid takes KEY=V1,V2,..., got {text!r}')
    seen: dict[object, str] = {}
    for value in found:
        if seen.setdefault(_same(value), value) is not value:
            raise ValueError(f'--grid {key} has the value {value} twice')
    return key, found


def expand(configs: Sequence[str], grids: Sequence[str]) -> list[Setting]:
    """Return the settings of a sweep: each config at each point of a grid.

    Args:
        configs: files.
        grids: texts for `parse_grid`; empty for unchanged configs.

    Raises:
        ValueError: a grid is wrong, or two settings have the same name.
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
    """Return a config with changes as a setting, such as tiny-alpha=0.5.

    The name depends only on the config's name and the changes: a restarted
    sweep finds its folders again.

    Args:
        config: its file.
        changes: values as texts by dotted key.
    """
    short = _short_keys(changes)
    words = [f'{short[key]}={value}' for key, value in changes.items()]
    name = '-'.join([Path(config).stem, *words])
    return Setting(_file_name(name), config, tuple(changes.items()))


def check_names(settings: Iterable[Setting]) -> None:
    """Refuse settings that would share a folder.

    Raises:
        ValueError: two settings have the same name.
    """
    seen: dict[str, Setting] = {}
    for setting in settings:
        other = seen.setdefault(setting.name, setting)
        if other is not setting:
            raise ValueError(
                f'{other.config} and {setting.config} are both named '
                f'{setting.name!r}: give one file another name'
            )


def _split(text: str) -> list[str]:
    """Split at the commas outside of brackets."""
    values, depth = [''], 0
    for sign in text:
        depth += (sign in _OPEN) - (sign in _CLOSE)
        if sign == ',' and depth == 0:
            values.append('')
        else:
            values[-1] += sign
    return values


def _same(value: str) -> object:
    """Return equal objects for equal values, such as 0.5 and 0.50."""
    found = read_number(value)
    return value if found is None else found


def _short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Shorten dotted keys to their last names, as few as are unique."""
    names = {key: key.split('.') for key in keys}
    short = {}
    for key, own in names.items():
        others = [n for k, n in names.items() if k != key]
        count = next(
            (n for n in range(1, len(own)) if _is_alone(own[-n:], others)),
            len(own),
        )
        short[key] = '.'.join(own[-count:])
    return short


def _is_alone(names: list[str], others: list[list[str]]) -> bool:
    return all(other[-len(names) :] != names for other in others)


def _file_name(name: str) -> str:
    """Return a valid folder name; a digest stands for what it leaves out."""
    safe = _UNSAFE.sub('_', name)
    if safe == name and len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f'{safe[:_LONGEST]}-{digest}'
