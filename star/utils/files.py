"""Files and folders that appear in one piece, their SHA-256, JSON records.

Everything is written under a temporary name beside its target and renamed
when it is complete. A killed process leaves the earlier target as it was, and
perhaps a file under a temporary name, which `remove_temporary` removes.
"""

import csv
import hashlib
import io
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20  # bytes
_LONGEST_NAME = 255  # bytes; no common file system allows more
# what Windows, macOS's archives and NAS systems leave in folders
_OF_SYSTEMS = ('thumbs.db', 'desktop.ini', '__macosx', '@eadir')


def list_visible(folder: Path) -> list[Path]:
    """List a folder's entries by name, without hidden and systems' files."""
    return sorted(path for path in folder.iterdir() if not is_hidden(path))


def is_hidden(path: Path) -> bool:
    """Return whether a file is hidden or an operating system's own."""
    return path.name.startswith('.') or path.name.lower() in _OF_SYSTEMS


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Replace a file in one step, or leave it as it was.

    The file gets the permissions of a normally created one, whatever the
    body's writer gives it.

    Args:
        path: the file; its folder is made if need be.

    Yields:
        An empty file beside `path` for the body to write to. It takes the
        name `path` when the body ends, and is removed when the body fails.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)
        move(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        _name_target(error, temporary, path)
        raise


@contextmanager
def atomic_folder(path: str | Path, replace: bool = False) -> Iterator[Path]:
    """Create a folder with its files in one step, or leave nothing.

    The files get the permissions of normally created ones, whatever the
    body's writers give them.

    Args:
        path: the folder; the one above it is made if need be.
        replace: replace an existing folder, which keeps its name until the
            new one is complete.

    Yields:
        An empty folder beside `path` for the body to fill. It takes the name
        `path` when the body ends, and is removed when the body fails.

    Raises:
        FileExistsError: `path` exists, and `replace` is False.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    _refuse_existing(path, replace)
    try:
        temporary.mkdir()
        yield temporary
        _permit_as(temporary)
        _refuse_existing(path, replace)
        move(temporary, path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        _name_target(error, temporary, path)
        raise


def beside(path: Path, prefix: str = '', suffix: str = '') -> Path:
    """Name a file or folder that lies beside another.

    Args:
        path: the other one; its own suffix stays part of the name.
        prefix: before its name.
        suffix: after its name.

    Returns:
        The sibling. Where its name would be longer than the file system
        allows, a digest of 8 digits stands for the rest of the name, so that
        the same path always gives the same sibling.
    """
    name = prefix + path.name + suffix
    if _num_bytes(name) > _longest_name(path.parent):
        whole = os.fsencode(path.name)
        suffix = f'~{hashlib.sha256(whole).hexdigest()[:8]}{suffix}'
        name = prefix + _fitting(path, path.name, prefix + suffix) + suffix
    return path.with_name(name)


def temporary_path(path: Path, keep_suffix: bool = False) -> Path:
    """Choose a name beside a path that `remove_temporary` recognises.

    Args:
        path: file or folder to write. Of a name that leaves no room, only
            the beginning stands in the new one.
        keep_suffix: end the name with the suffix of `path`, for writers that
            choose the format by it. It then also matches `*.suffix`.
    """
    stem, suffix = (path.stem, path.suffix) if keep_suffix else (path.name, '')
    end = f'.part-{secrets.token_hex(4)}{suffix}'
    return path.with_name(f'.{_fitting(path, stem, "." + end)}{end}')


def move(temporary: Path, path: Path) -> None:
    """Rename a complete file or folder, so that a power failure keeps it.

    Args:
        temporary: the file or folder, on the same file system as `path`.
        path: its new name; a file or folder that has it is replaced.
    """
    _sync_all(temporary)
    if not (path.is_dir() and temporary.is_dir()):
        temporary.replace(path)
        _sync(path.absolute().parent)
        return
    old = set_aside(path)
    try:
        temporary.rename(path)
    except BaseException:
        old.rename(path)
        raise
    _sync(path.absolute().parent)
    shutil.rmtree(old)


def set_aside(folder: Path) -> Path:
    """Give a folder a temporary name before it is removed file by file.

    Returns:
        The new path, which `remove_temporary` recognises.
    """
    return folder.rename(temporary_path(folder))


def remove_temporary(folder: str | Path, pattern: str = '*') -> None:
    """Remove the unfinished files and folders of killed processes.

    Args:
        folder: where they lie; no other process may write there now.
        pattern: glob pattern of the names that they were to get.
    """
    for path in list(Path(folder).glob(f'.{pattern}.part-*')):
        remove(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def check_writable(folder: str | Path) -> None:
    """Refuse a folder that cannot be written to, or cannot be made.

    Raises:
        OSError: a file has its name or that of a folder above it, or the
            user may not write there.
    """
    folder = Path(folder).absolute()
    place = folder
    while not place.exists() and not place.is_symlink():
        place = place.parent
    where = f'{folder}: ' if folder != place else ''
    if not place.is_dir():
        raise NotADirectoryError(f'{where}{place} is not a folder')
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f'{where}{place} is not writable')


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder for the body; remove it again if the body fails.

    Args:
        folder: it, and those above it, stay if there is something in them.
    """
    places = [folder.absolute(), *folder.absolute().parents]
    new = [place for place in places if not place.exists()]
    try:
        for place in reversed(new):
            place.mkdir(exist_ok=True)
        yield
    except BaseException:
        for place in new:
            with suppress(OSError):  # gone, or no longer empty
                place.rmdir()
        raise


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file in one step; its folder is made if need be."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in one step; its folder is made if need be.

    Args:
        path: the file.
        text: its content, written in UTF-8 with line ends as they are.
    """
    write_bytes(path, text.encode('utf-8'))


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file in one step; its folder is made if need be.

    Args:
        path: the file.
        value: builtin types; infinities and NaN become 'inf', '-inf' and
            'nan', which `float` reads.
    """
    text = json.dumps(_plain(value), indent=1, allow_nan=False)
    write_text(path, text + '\n')


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Return rows as CSV; None is an empty cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Args:
        path: the file.

    Raises:
        ValueError: it is missing, or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'{path} cannot be read: {reason}') from error


def sha256_of(path: str | Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def verify_sha256(path: str | Path, expected: str) -> None:
    """Refuse a file with another SHA-256.

    Args:
        path: the file.
        expected: its SHA-256 in hexadecimal, or the beginning of it.

    Raises:
        ValueError: the file's SHA-256 begins otherwise.
    """
    actual = sha256_of(path)
    if not actual.startswith(expected.lower()):
        raise ValueError(
            f'{path}: SHA-256 is {actual}, expected {expected}: the file is '
            'damaged or another version'
        )


def _name_target(error: BaseException, temporary: Path, path: Path) -> None:
    """Let an error name the file that was to be written."""
    if isinstance(error, OSError) and error.filename == os.fspath(temporary):
        error.filename, error.filename2 = os.fspath(path), None


def _fitting(path: Path, stem: str, rest: str) -> str:
    """Cut a stem so that a name beside `path` has room for the rest."""
    room = _longest_name(path.parent) - _num_bytes(rest)
    while stem and _num_bytes(stem) > room:
        stem = stem[:-1]
    return stem


def _num_bytes(name: str) -> int:
    return len(os.fsencode(name))


def _longest_name(folder: Path) -> int:
    """Return how many bytes a name in a folder may have, 255 at most."""
    try:
        return min(os.pathconf(folder, 'PC_NAME_MAX'), _LONGEST_NAME)
    except (AttributeError, OSError, ValueError):  # Windows; not made yet
        return _LONGEST_NAME


def _refuse_existing(path: Path, replace: bool) -> None:
    if path.exists() and not (replace and path.is_dir()):
        raise FileExistsError(f'{path} exists already')


def _permit_as(folder: Path) -> None:
    """Give a new folder's files its permissions, which follow the umask."""
    mode = folder.stat().st_mode & 0o666
    for path in folder.rglob('*'):
        # what is linked from elsewhere is not ours
        if not path.is_symlink() and path.is_file():
            found = path.stat()
            if found.st_nlink == 1:
                path.chmod(found.st_mode & 0o111 | mode)


def _sync_all(path: Path) -> None:
    """Wait until a file, or a folder and its files, is on the disk."""
    if path.is_symlink():  # what it points to is not ours
        return
    if path.is_dir():
        for item in sorted(path.iterdir()):
            _sync_all(item)
    _sync(path)


def _sync(path: Path) -> None:
    if os.name == 'nt' and path.is_dir():
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
