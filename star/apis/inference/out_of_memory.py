"""Memory that runs out: how it is noticed, and how a clip goes on."""

import gc
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from star.apis.inference.borders import find_borders
from star.apis.inference.file_options import MemoryRules
from star.apis.inference.journal import Journal
from star.apis.inference.planning import from_json, smaller_options
from star.models.contracts import Events, Restorer
from star.models.restoration.options import CUTS, RestoreOptions
from star.models.restoration.resuming import ResumePoint
from star.utils.allocator import give_memory_back
from star.utils.files import read_json, write_json
from star.utils.memory_limit import free_memory, memory_of_process

_FILE = 'smaller.json'  # in a journal's folder
_LEAST_FREE = 128 * 2**20  # bytes, before the kernel ends processes
_EARLIER = 'earlier'  # what a point keeps that no tile decides
_CPU = torch.device('cpu')


class MemoryLimitError(MemoryError):
    """Raised where a process takes more memory than it may."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)


class MemoryWatch:
    """Passes events on, and raises before the kernel ends the process.

    Whenever a restoration reports progress, between two windows or frames,
    the resident memory is compared with the limit.

    Args:
        events: the listener; None for nobody.
        limit: bytes of this process; None for what the machine has.
    """

    def __init__(self, events: Events | None, limit: int | None) -> None:
        self.events, self.limit = events, limit

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Check the memory and pass the event on.

        Raises:
            MemoryLimitError: there is too little.
        """
        if self.events is not None:
            self.events.progress(stage, done, total)
        if stage != 'read':
            self._check()

    def note(self, text: str) -> None:
        """Pass a note on."""
        if self.events is not None:
            self.events.note(text)

    def _check(self) -> None:
        if self.limit is not None:
            used = memory_of_process()
            if used > self.limit:
                raise MemoryLimitError(
                    f'{used / 10**9:.2f} GB are in use, the limit is '
                    f'{self.limit / 10**9:.2f} GB'
                )
            return
        free = free_memory(_CPU)
        if free is not None and free < _LEAST_FREE:
            raise MemoryLimitError(f'only {free >> 20} MiB are free')


def watch_memory(
    restorer: Restorer, rules: MemoryRules | None, events: Events | None
) -> Events | None:
    """Return events that watch the memory of a CPU, if there are rules.

    Args:
        restorer: on its device.
        rules: with the limit; None for no watching.
        events: the listener; None for nobody.
    """
    device = next(restorer.parameters(), torch.empty(0)).device
    if rules is None or device.type != 'cpu':
        return events
    return MemoryWatch(events, rules.limit)


def next_smaller(
    restorer: Restorer,
    options: RestoreOptions,
    size: tuple[int, int],
    rules: MemoryRules,
) -> RestoreOptions | None:
    """Return options that need less memory, with which a clip can go on.

    Args:
        restorer: of the clip.
        options: for which memory ran out.
        size: width and height of the input.
        rules: whose `fixed` options stay.

    Returns:
        None if there are none.
    """
    ladder = smaller_options(
        restorer, options, size[::-1], rules.fixed, keep_overlap=True
    )
    for found in ladder:
        if found == options:
            continue
        with suppress(ValueError):  # tiles that do not fit the network
            find_borders(restorer, found, size, (), 1)
            return found
    return None


def drop_memory() -> None:
    """Return what was freed to the system, and to other users of a GPU."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    give_memory_back()


def keep_smaller(
    journal: Journal, key: Mapping[str, Any], options: RestoreOptions
) -> None:
    """Write down with which options a clip goes on from here.

    Args:
        journal: of the result.
        key: of the result, builtin types.
        options: smaller ones.
    """
    cuts = {name: getattr(options, name) for name in CUTS}
    value = {'key': key, 'options': cuts, 'at': journal.count}
    write_json(journal.folder / _FILE, value)


def read_smaller(
    journal: Journal, key: Mapping[str, Any], options: RestoreOptions
) -> tuple[RestoreOptions, int]:
    """Return the options with which an earlier run would go on.

    Args:
        journal: of the result.
        key: of the result, builtin types.
        options: with which the clip began.

    Returns:
        The options, and the number of pieces after which they count; those
        that were given, and -1, if memory did not run out.
    """
    with suppress(ValueError, OSError, KeyError, TypeError):
        found = read_json(journal.folder / _FILE)
        if found['key'] == key:
            cuts = {k: from_json(v) for k, v in found['options'].items()}
            return replace(options, **cuts), found['at']
    return options, -1


def has_smaller(journal: Journal) -> bool:
    """Return whether memory ran out for what a journal keeps."""
    return (journal.folder / _FILE).exists()


def without_tiles(point: ResumePoint | None) -> ResumePoint | None:
    """Drop what a point keeps for each tile: there are others now."""
    if point is None:
        return None
    tensors = {k: t for k, t in point.tensors.items() if k == _EARLIER}
    return replace(point, tensors=tensors)
