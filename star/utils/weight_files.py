"""Published files of weights: found by name, checked, downloaded once.

Searched in this order: the folder that is named, the cache of torch hub, the
installed package that brings the file; else it is downloaded into the cache
and its SHA-256 compared.
"""

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.error import URLError
from urllib.request import Request, urlopen

import torch

_TIMEOUT = 30  # seconds without an answer
_BLOCK = 1 << 20
_HINT = 'put it into a folder and name that with `weights_dir`'


@dataclass(frozen=True)
class WeightFile:
    """A published file.

    Args:
        url: where it is downloaded; empty where only by hand.
        sha256: of the file, or its beginning, which torchvision's names hold;
            empty where it is not known.
        licence: of the weights, as stated where they are published.
        names: under which the same file goes about as well.
        package: module and path in it, where a package brings the file.
        page: where to get it by hand, if there is no `url`.
    """

    url: str
    sha256: str
    licence: str
    names: tuple[str, ...] = ()
    package: tuple[str, str] | None = None
    page: str = ''


Table = Mapping[str, WeightFile]


def find_file(
    table: Table,
    names: Sequence[str],
    folder: str | Path | None = None,
    hint: str = _HINT,
) -> Path:
    """Find a published file; download it where it is nowhere.

    Args:
        table: all published files by name.
        names: of files that do equally well, the preferred first; the last
            can be downloaded.
        folder: searched first.
        hint: what to do, for the message where it cannot be had.

    Raises:
        ValueError: it is not found and cannot be downloaded, or a file of
            the published name is not the published one.
    """
    place = check_folder(folder)
    for name in names:
        if (found := find_local(table, name, place)) is not None:
            return found
    return _download(table, names[-1], place, hint)


def find_local(table: Table, name: str, folder: Path | None) -> Path | None:
    """Look for a published file without downloading it.

    Args:
        table: all published files by name.
        name: one of them.
        folder: searched first, or None.

    Raises:
        ValueError: a file of that name is not the published one.
    """
    entry = table[name]
    places = [cache_folder() / name]
    if folder is not None:
        places = [folder / n for n in (name, *entry.names)] + places
    if (packaged := _packaged(entry)) is not None:
        places.append(packaged)
    for place in places:
        if place.is_file():
            _check(place, entry, file_digest(place))
            return place
    return None


def cache_folder() -> Path:
    """Name the folder that torch hub keeps checkpoints in."""
    return Path(torch.hub.get_dir()) / 'checkpoints'


def file_digest(path: str | Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def check_folder(weights_dir: str | Path | None) -> Path | None:
    """Refuse a folder of weights that does not exist.

    Raises:
        ValueError: it is no folder.
    """
    if weights_dir is None:
        return None
    if not Path(weights_dir).is_dir():
        raise ValueError(f'`weights_dir`: there is no folder {weights_dir}')
    return Path(weights_dir)


def _packaged(entry: WeightFile) -> Path | None:
    """Find a file inside a package, without importing the package."""
    if entry.package is None:
        return None
    module, relative = entry.package
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / relative


def _check(path: Path, entry: WeightFile, digest: str) -> None:
    if not digest.startswith(entry.sha256):
        raise ValueError(
            f'`weights`: {path} is not the published file: its SHA-256 is '
            f'{digest}, not {entry.sha256}; remove it, or name it with '
            '`weights` to use it all the same'
        )


def _download(table: Table, name: str, folder: Path | None, hint: str) -> Path:
    """Fetch a file into the cache; it appears there complete."""
    entry = table[name]
    where = f'in {folder} or {cache_folder()}' if folder else 'in the cache'
    if not entry.url:
        page = f'get it from {entry.page}, ' if entry.page else ''
        raise ValueError(f'`weights`: {name} is not {where}; {page}{hint}')
    try:
        return _fetch(entry, cache_folder() / name)
    except OSError as error:
        reason = error.reason if type(error) is URLError else error
        raise ValueError(
            f'`weights`: {name} is not {where} and cannot be downloaded from '
            f'{entry.url} ({reason}); {hint}'
        ) from error


def _fetch(entry: WeightFile, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp('.part', target.name, target.parent)
    try:
        with os.fdopen(handle, 'wb') as file:
            _copy(entry.url, file)
        _check(Path(name), entry, file_digest(name))
        os.chmod(name, 0o644)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
    return target


def _copy(url: str, file: BinaryIO) -> None:
    request = Request(url, headers={'User-Agent': 'star-vsr'})
    with urlopen(request, timeout=_TIMEOUT) as answer:
        while block := answer.read(_BLOCK):
            file.write(block)
