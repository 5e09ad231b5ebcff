"""`Method`: what the page knows of a method, asked from another process.

Asking needs torch, whose memory the server would keep.
"""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, fields
from typing import Any

from star.app.processes import run_module

_ASK = 'star.app.list_methods'


@dataclass(frozen=True)
class Method:
    """A method that the page offers.

    Args:
        name: of its config.
        weights: a word that the config knows; empty for its own weights.
        used: names of the options that it heeds.
        color_fixes: ways to keep colours.
        scale: output size over input size, unless the user says otherwise.
        licence: of the weights, where it is known.
        missing: files that have to be downloaded, and where from.
        size: bytes of those whose size is known, in float32.
        unsized: how many have no known size.
    """

    name: str
    weights: str = ''
    used: tuple[str, ...] = ()
    color_fixes: tuple[str, ...] = ()
    scale: float = 4
    licence: str = ''
    missing: tuple[str, ...] = ()
    size: int = 0
    unsized: int = 0

    @property
    def key(self) -> str:
        """Return what tells it from others."""
        return f'{self.name} {self.weights}'.strip()

    @property
    def label(self) -> str:
        """Return how the page calls it."""
        return (
            f'{self.key} (download {self.amount})' * bool(self.missing)
            or self.key
        )

    @property
    def amount(self) -> str:
        """Return how much is to be downloaded, in words."""
        files = f'{self.unsized} file' + 's' * (self.unsized != 1)
        unknown = f'{files} of unknown size'
        if not self.size:
            return f'of {unknown}'
        known = f'about {write_size(self.size)}'
        return f'{known} and {unknown}' if self.unsized else known


def write_size(size: float) -> str:
    """Write bytes as a person does."""
    for unit, least in (('GB', 1e9), ('MB', 1e6)):
        if size >= least:
            digits = 0 if size >= 10 * least else 1
            return f'{size / least:.{digits}f} {unit}'
    return f'{size / 1e3:.0f} kB'


def read_method(value: Mapping[str, Any]) -> Method:
    """Make a method of builtin types."""
    known = {f.name: value[f.name] for f in fields(Method)}
    for name in ('used', 'color_fixes', 'missing'):
        known[name] = tuple(known[name])
    return Method(**known)


def ask() -> list[Method]:
    """List the methods of this machine; takes seconds.

    Raises:
        ValueError: the other process has failed.
    """
    answer = run_module(_ASK, what='list of methods')
    return [read_method(v) for v in json.loads(answer.splitlines()[-1])]


class MethodList:
    """The methods; `refresh` asks for them in the background."""

    def __init__(self) -> None:
        self._answer: Future[list[Method]] = Future()

    def refresh(self) -> None:
        """Ask anew, as weights may have come."""
        answer: Future[list[Method]] = Future()
        self._answer = answer

        def work() -> None:
            try:
                answer.set_result(ask())
            except (ValueError, OSError) as error:
                answer.set_exception(error)

        threading.Thread(target=work, daemon=True).start()

    def set(self, methods: list[Method]) -> None:
        """Take methods that are known already."""
        self._answer = Future()
        self._answer.set_result(methods)

    @property
    def ready(self) -> bool:
        """Return whether the answer is there."""
        return self._answer.done()

    def list_methods(self) -> list[Method]:
        """Wait for the methods and return them.

        Raises:
            ValueError: as for `ask`.
        """
        return self._answer.result()

    def find(self, key: str | None) -> Method:
        """Return a method.

        Raises:
            ValueError: there is none of this key.
        """
        for method in self.list_methods():
            if method.key == key:
                return method
        raise ValueError(f'choose a method: there is none called {key!r}')
