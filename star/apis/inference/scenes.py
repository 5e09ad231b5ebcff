"""Scenes of one clip that several processes restore, each apart.

    .NAME.star/
        scenes.json      the first frames of runs of whole scenes
        scenes-000120/   a journal of those from frame 120 on

Whoever restores the clip as a whole takes their pieces over where it comes to
them, and restores what is missing. So the result does not depend on how many
processes there were, or which of them ended early.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from star.apis.inference.journal import Journal, journal_folder, opened
from star.apis.inference.journal_records import (
    PieceRecord,
    Position,
    read_point,
    write_point,
)
from star.apis.inference.out_of_memory import has_smaller
from star.apis.inference.trust import compare_frames
from star.utils.files import read_json, write_json

_FILE, _FOLDER, _FIRST = 'scenes.json', 'scenes-', 'first.seen'
_DAMAGED = (ValueError, OSError, KeyError, TypeError)


@dataclass(frozen=True)
class SceneRange:
    """Consecutive whole scenes of a clip.

    Args:
        first: frame.
        end: the frame after the last one.
    """

    first: int
    end: int


def plan_ranges(
    scenes: Sequence[int], frames: int, count: int, done: int = 0
) -> list[SceneRange]:
    """Divide what is left of a clip at borders of scenes.

    Args:
        scenes: first frame of each.
        frames: of the clip.
        count: how many ranges there shall be at most.
        done: frames that are restored; a scene that has begun is left out.

    Returns:
        Ranges of about the same length, where scenes allow it.
    """
    left = [scene for scene in scenes if scene >= done]
    if not left:
        return []
    least = (frames - left[0]) / count
    starts = left[:1]
    for scene in left[1:]:
        if scene - starts[-1] >= least:
            starts.append(scene)
    return [SceneRange(*pair) for pair in pairwise([*starts, frames])]


def keep_ranges(journal: Journal, ranges: Sequence[SceneRange]) -> None:
    """Write down how a clip is divided, for processes that go on."""
    pairs = [[each.first, each.end] for each in ranges]
    value = {'key': journal.key, 'ranges': pairs}
    write_json(journal.folder / _FILE, value)
    journal.keep = True


def read_ranges(journal: Journal) -> list[SceneRange] | None:
    """Return how a clip was divided; None if it was not."""
    with suppress(*_DAMAGED):
        found = read_json(journal.folder / _FILE)
        if found['key'] == journal.key:
            return [SceneRange(*pair) for pair in found['ranges']]
    return None


@contextmanager
def open_scenes(
    dst: Path, key: Mapping[str, Any], first: int
) -> Iterator[Journal]:
    """Open the journal of the scenes from a frame on, and load it.

    Args:
        dst: the result; its folder exists.
        key: of the result.
        first: frame.

    Raises:
        HeldError: another process restores them.
    """
    folder = scenes_folder(journal_folder(dst), first)
    folder.parent.mkdir(exist_ok=True)
    with opened(folder, dst) as journal:
        journal.load({**key, 'scenes': first})
        if not journal.count:
            count = torch.tensor([first])
            journal.position = Position(first, None, {'count': count})
        yield journal


def keep_first(journal: Journal, seen: Mapping[str, Tensor]) -> None:
    """Keep the first frame of some scenes, as the meter saw it.

    The process that has the frame before measures the change to it.
    """
    write_point(journal.folder / _FIRST, Position(meter=seen))


def scenes_folder(folder: Path, first: int) -> Path:
    """Return where the journal of the scenes from a frame on lies."""
    return folder / f'{_FOLDER}{first:06d}'


def has_scenes(folder: Path, first: int) -> bool:
    """Return whether pieces of the scenes from a frame on are kept.

    Args:
        folder: of the journal of the clip.
        first: frame.
    """
    return any(scenes_folder(folder, first).glob('[0-9]*.piece'))


def take_over(journal: Journal) -> int:
    """Take over what another process has restored from here on.

    Args:
        journal: of the clip, loaded.

    Returns:
        The number of frames.

    Raises:
        HeldError: that process has not ended.
    """
    here = journal.position
    if here.point is not None or not has_scenes(journal.folder, here.scene):
        return 0
    folder = scenes_folder(journal.folder, here.scene)
    with opened(folder, journal.folder) as part:
        part.load({**journal.key, 'scenes': here.scene})
        if part.count and _fits(journal, part):
            _copy(journal, part)
    shutil.rmtree(folder, ignore_errors=True)
    return journal.position.done - here.done


def _fits(journal: Journal, part: Journal) -> bool:
    """Return whether pieces are as they would be without a second process."""
    if has_smaller(part):  # the next piece needs the same windows
        return False
    times = [frame.time for frame in part.read(0).frames]
    return journal.last is None or min(times) > journal.last


def _copy(journal: Journal, part: Journal) -> None:
    """Add pieces; only after the last one can the clip be taken up."""
    before = dict(journal.position.meter)
    for number, record in enumerate(part.list_records()):
        if number == 0 and len(before) > 1:
            record = _with_change(record, before, part.folder)
        last = number == part.count - 1
        place = part.position if last else None
        journal.add(part.read(number), record, place)


def _with_change(
    record: PieceRecord, before: Mapping[str, Tensor], folder: Path
) -> PieceRecord:
    """Measure the change from the frame before the first one of a piece."""
    seen = read_point(folder / _FIRST).meter
    names = [name for name in seen if name != 'count']
    changes = compare_frames(
        {name: before[name].numpy() for name in names},
        {name: seen[name].numpy() for name in names},
    )
    first, *rest = record.rows
    return replace(record, rows=({**first, **changes}, *rest))
