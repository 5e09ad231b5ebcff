"""`Journal`: what is done of a restoration, kept beside its result.

    .NAME.star/
        lock            held while a process restores
        journal.json    the key: what the result depends on
        000003.piece    a coded piece of the result, and its record
        000003.point    what the next segment needs; only the last two are kept
        result*         the joined result and its record, before they move

Every file appears in one piece and holds the SHA-256 of its content. A
process that is killed at any moment leaves whole pieces, from which the next
one goes on.
"""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from glob import escape
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from star.apis.inference.journal_records import (
    PieceRecord,
    Position,
    read_point,
    write_point,
)
from star.utils.files import (
    beside,
    read_json,
    remove,
    remove_temporary,
    write_json,
)
from star.utils.sealed_files import (
    read_sealed,
    read_sealed_record,
    write_sealed,
)
from star.video.coded import CodedPiece
from star.video.info import VideoError

RESULT = 'result'  # name of files that are moved once they are complete
_LOCK, _KEY, _HOLDER = 'lock', 'journal.json', 'holder.json'
_PIECE, _POINT = '.piece', '.point'
_KEPT = 2  # points
_SCENES = 'scenes*'  # that other processes restore, see scenes.py
_DAMAGED = (ValueError, FileNotFoundError, IsADirectoryError)


class HeldError(VideoError):
    """Raised for a result that another process restores."""


class Journal:
    """Keeps the pieces of one result; use `open_journal`.

    Attributes:
        folder: of its files.
        count: number of pieces that are complete.
        last: when the last frame of the last piece is shown.
        position: where to go on.
        key: what the result depends on, builtin types.
        total: frames of the clip, once an earlier run has counted them.
        keep: do not remove it, though it holds no piece yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.last: Fraction | None = None
        self.position = Position()
        self.total: int | None = None
        self.key: Any = None
        self.keep = False

    def load(self, key: Mapping[str, Any]) -> list[str]:
        """Read what an earlier run with the same key has left.

        Pieces that are damaged, and those after them, are removed; so are
        all of a run with another key.

        Args:
            key: builtin types that the result depends on.

        Returns:
            The names of what has changed since a run with another key; empty
            if there was none.
        """
        remove_temporary(self.folder)
        for path in self.folder.glob(f'{RESULT}*'):
            remove(path)
        self.key = json.loads(json.dumps(key))
        earlier = self._read_key()
        if earlier.get('key') == self.key:
            self.total = earlier.get('total')
            self._load_pieces()
            return []
        changes = []
        if self._paths(_PIECE):
            changes = _differences(earlier.get('key'), self.key)
        self._clear()
        self._write_key()
        return changes

    def set_total(self, total: int) -> None:
        """Keep the number of frames, so that they are counted once."""
        self.total = total
        self._write_key()

    def add(
        self,
        piece: CodedPiece,
        record: PieceRecord,
        position: Position | None,
    ) -> None:
        """Keep a piece, and where to go on after it.

        Args:
            piece: the next one of the result.
            record: of the piece.
            position: after it; None where the clip cannot be taken up.
        """
        number = self.count
        if position is not None:
            write_point(self._path(number, _POINT), position)
        data = torch.frombuffer(bytearray(piece.data), dtype=torch.uint8)
        path = self._path(number, _PIECE)
        write_sealed(path, {'data': data}, record.to_json())
        self.count, self.last = number + 1, piece.last
        if position is not None:
            self.position = position
            for path in self._paths(_POINT)[:-_KEPT]:
                remove(path)

    def read(self, number: int) -> CodedPiece:
        """Read a piece.

        Raises:
            ValueError: it is damaged.
        """
        tensors, value = read_sealed(self._path(number, _PIECE))
        record = PieceRecord.from_json(value)
        data = tensors['data'].numpy().tobytes()
        return CodedPiece(record.frames, data, record.header)

    def list_records(self) -> Iterator[PieceRecord]:
        """Read the records of all pieces."""
        for number in range(self.count):
            path = self._path(number, _PIECE)
            yield PieceRecord.from_json(read_sealed_record(path))

    def remove(self) -> None:
        """Remove the journal: the result is complete, or nothing is kept."""
        self._clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write_key(self) -> None:
        write_json(self.folder / _KEY, {'key': self.key, 'total': self.total})

    def _read_key(self) -> Mapping[str, Any]:
        with suppress(ValueError):
            found = read_json(self.folder / _KEY)
            if isinstance(found, Mapping) and 'key' in found:
                return found
        return {}

    def _load_pieces(self) -> None:
        """Take the whole pieces up to the last one with a point."""
        lasts: list[Fraction] = []
        with suppress(*_DAMAGED):
            while True:
                _, value = read_sealed(self._path(len(lasts), _PIECE))
                frames = PieceRecord.from_json(value).frames
                lasts.append(max(frame.time for frame in frames))
        while lasts:
            with suppress(*_DAMAGED):
                path = self._path(len(lasts) - 1, _POINT)
                self.position = read_point(path)
                break
            lasts.pop()
        self.count, self.last = len(lasts), lasts[-1] if lasts else None
        for suffix in (_PIECE, _POINT):
            for path in self._paths(suffix):
                if int(path.stem) >= self.count:
                    remove(path)

    def _clear(self) -> None:
        """Remove all pieces, the last first, and the key."""
        with suppress(FileNotFoundError):
            remove(self.folder / _KEY)
        for suffix in (_PIECE, _POINT):
            for path in reversed(self._paths(suffix)):
                remove(path)
        for path in self.folder.glob(_SCENES):
            remove(path)

    def _paths(self, suffix: str) -> list[Path]:
        return sorted(self.folder.glob(f'[0-9]*{suffix}'))

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / f'{number:06d}{suffix}'


def journal_folder(dst: Path) -> Path:
    """Return where the journal of a result lies."""
    return beside(dst, prefix='.', suffix='.star')


def read_kept_key(dst: Path) -> Mapping[str, Any]:
    """Return the key of an unfinished result; empty if there is none."""
    with suppress(ValueError, OSError):
        found = read_json(journal_folder(dst) / _KEY)
        if isinstance(found, Mapping) and isinstance(
            key := found.get('key'), Mapping
        ):
            return key
    return {}


def count_kept(dst: Path) -> int:
    """Return how many frames of an unfinished result are kept."""
    folder = journal_folder(dst)
    count = whole = _count_frames(folder)
    for scenes in folder.glob('scenes-*'):
        if int(scenes.name.removeprefix('scenes-')) >= whole:
            count += _count_frames(scenes)  # those before are taken over
    return count


def _count_frames(folder: Path) -> int:
    count = 0
    for path in folder.glob(f'[0-9]*{_PIECE}'):
        with suppress(ValueError, OSError, KeyError, TypeError):
            count += len(read_sealed_record(path)['frames'])
    return count


def is_held(dst: Path) -> bool:
    """Return whether a process restores a result now."""
    path = journal_folder(dst) / _LOCK
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def discard_journal(dst: Path) -> None:
    """Remove what a process has left that was killed at the very end."""
    if journal_folder(dst).is_dir():
        with open_journal(dst) as journal:
            remove_set_aside(dst)
            journal.remove()


def remove_set_aside(dst: Path) -> None:
    """Remove earlier results that killed processes have set aside."""
    remove_temporary(dst.parent, escape(dst.name))


@contextmanager
def open_journal(dst: Path) -> Iterator[Journal]:
    """Open the journal of a result; no other process can, meanwhile.

    When the body ends, it is removed if it holds no piece.

    Args:
        dst: the result; its folder exists.

    Raises:
        HeldError: another process restores this result.
        VideoError: the folder cannot be written.
    """
    with opened(journal_folder(dst), dst) as journal:
        yield journal


@contextmanager
def opened(folder: Path, dst: Path) -> Iterator[Journal]:
    """Open a journal as `open_journal` does.

    Args:
        folder: of the journal.
        dst: the result.
    """
    try:
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / _LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise HeldError(f'{dst}: {_describe_holder(folder)}') from None
    except FileExistsError:
        raise VideoError(f'{folder}: is no folder; remove it') from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise VideoError(f'{dst}: cannot be written ({reason})') from error
    journal = Journal(folder)
    try:
        holder = {'process': os.getpid(), 'host': socket.gethostname()}
        write_json(folder / _HOLDER, holder)
        yield journal
    finally:
        with suppress(OSError):
            (folder / _HOLDER).unlink(missing_ok=True)
            if not journal.keep and not any(folder.rglob(f'[0-9]*{_PIECE}')):
                journal.remove()
        lock.release()


def _describe_holder(folder: Path) -> str:
    with suppress(ValueError, KeyError, TypeError):
        holder = read_json(folder / _HOLDER)
        return (
            f'process {holder["process"]} on {holder["host"]} restores it '
            'already'
        )
    return 'another process restores it already'


def _differences(old: Any, new: Mapping[str, Any]) -> list[str]:
    """Name what differs between two keys, with single values."""
    if not isinstance(old, Mapping):
        return ['everything']
    found = []
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        if was == now:
            continue
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            found += _differences(was, now)
        elif len(f'{was}{now}') < 60:
            found.append(f'{name} {was} -> {now}')
        else:
            found.append(str(name))
    return found
