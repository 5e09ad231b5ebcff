"""Problems of clips, one line each, gathered by their cause."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# 'SET/CLIP: text' and 'METRIC of SET/CLIP: text', as tests record them
_CLIP = re.compile(r'(?:(\S+) of )?([^/:\s]+/[^/:]+): (.*)', re.DOTALL)
_VARYING = re.compile(r'[^\s\'"]*/[^\s\'",;:]+|\d+')  # paths and numbers
_LISTED = 5  # names in a line


@dataclass
class Cause:
    """Problems that one cause has.

    Args:
        text: of the first problem, without the names of metric and clip.
        owners: names of those that have it, such as methods.
        metrics: that it concerns.
        clips: that it concerns, as SET/NAME.
        varies: the problems have other paths or numbers in their text.
    """

    text: str
    owners: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=list)
    clips: list[str] = field(default_factory=list)
    varies: bool = False

    def describe(self) -> str:
        """Return one line with the number of clips."""
        first = ' (of the first)' if self.varies else ''
        text = f'{self.text}{first}'
        if not self.clips:
            return text
        where = self.clips[0]
        if len(self.clips) > 1:
            where = f'{len(self.clips)} clips ({list_some(self.clips)})'
        metrics = f'{", ".join(self.metrics)} of ' if self.metrics else ''
        return f'{metrics}{where}: {text}'


def find_causes(problems: Iterable[tuple[str, str]]) -> list[Cause]:
    """Gather problems that differ only in clip, metric, paths and numbers.

    Args:
        problems: pairs of an owner and a line.

    Returns:
        The causes in order of appearance.
    """
    causes: dict[str, Cause] = {}
    for owner, line in problems:
        found = _CLIP.fullmatch(line)
        metric, clip, text = found.groups() if found else ('', '', line)
        name = clip.partition('/')[2]
        # whole words only: a clip may be named `a`
        masked = re.sub(rf'\b{re.escape(name)}\b', '*', text) if name else text
        key = f'{bool(clip)} {_VARYING.sub("*", masked) if clip else text}'
        cause = causes.setdefault(key, Cause(text))
        cause.varies |= text != cause.text
        _add(cause.owners, owner)
        _add(cause.metrics, metric)
        _add(cause.clips, clip)
    return list(causes.values())


def list_some(names: list[str]) -> str:
    """List the first names and count the others."""
    rest = len(names) - _LISTED
    more = f' and {rest} more' if rest > 0 else ''
    return ', '.join(names[:_LISTED]) + more


def _add(names: list[str], name: str | None) -> None:
    if name and name not in names:
        names.append(name)
