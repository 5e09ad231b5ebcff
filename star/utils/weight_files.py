"""Published files of weights: found, downloaded once, verified.

A file is searched in the user's folder, in the cache of torch hub or of the
Hugging Face hub, in the package that brings it, and in `star/assets`; else it
is downloaded into the cache and its SHA-256 compared.
"""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO
from urllib.error import URLError
from urllib.request import Request, urlopen

import torch

from star.utils.files import atomic_path, verify_sha256
from star.utils.paths import asset_folder

_TIMEOUT = 30  # seconds without an answer
_BLOCK = 1 << 20
_HINT = 'name the file with `weights`, or its folder with `weights_dir`'


@dataclass(frozen=True)
class WeightFile:
    """A file of weights, and where it comes from.

    Args:
        file: its name, or its path within `repo`.
        url: address of a direct download.
        sha256: of its content, or the beginning of it; empty if unknown.
        licence: of the weights, as stated where they are published.
        names: further names under which a user may have the file.
        package: module and path in it, where a package brings the file.
        repo: repository on the Hugging Face hub.
        beside: names of further files that must lie in the same folder.
        made_by: the command that makes the file; empty for one that is
            published as it is.
        source: where a person gets the file, or what `made_by` reads.
    """

    file: str
    url: str = ''
    sha256: str = ''
    licence: str = ''
    names: Sequence[str] = ()
    package: tuple[str, str] | None = None
    repo: str = ''
    beside: Sequence[str] = ()
    made_by: str = ''
    source: str = ''

    @property
    def name(self) -> str:
        """The last part of `file`."""
        return PurePath(self.file).name


def choose_file(
    files: Sequence[WeightFile],
    path: str | Path | None = None,
    folder: str | Path | None = None,
) -> Path:
    """Take the file that a user names, else find a published one.

    Args:
        files: as for `find_file`.
        path: the user's file, of any name.
        folder: as for `find_file`.

    Raises:
        ValueError: there is no file `path`, or as for `find_file`.
    """
    if path is None:
        return find_file(files, folder)
    if not Path(path).is_file():
        raise ValueError(f'`weights`: there is no file {path}')
    return Path(path)


def find_file(
    files: Sequence[WeightFile],
    folder: str | Path | None = None,
    hint: str = _HINT,
) -> Path:
    """Find a published file; download it where it is nowhere.

    Args:
        files: files that do equally well, the preferred first; the last is
            downloaded.
        folder: searched first.
        hint: what the reader of the error message can do.

    Raises:
        ValueError: no file is found or can be downloaded, or a file of the
            published name has another SHA-256.
    """
    folder = check_folder(folder)
    for file in files:
        if (found := find_local(file, folder)) is not None:
            return found
    file = files[-1]
    where = f'in {folder} or the cache' if folder else 'in the cache'
    if not file.url and not file.repo:
        source = f'get it from {file.source}, ' if file.source else ''
        raise ValueError(
            f'`weights`: {file.name} is not {where}; {source}{hint}'
        )
    try:
        return fetch(file)
    except OSError as error:
        raise ValueError(
            f'`weights`: {file.name} is not {where} and cannot be downloaded '
            f'from {file.url or file.repo} ({_reason(error)}); {hint}'
        ) from error


def find_local(
    file: WeightFile, folder: Path | None = None, verify: bool = True
) -> Path | None:
    """Look for a file without downloading it.

    Args:
        file: the file.
        folder: searched first.
        verify: compare its SHA-256, which takes seconds for each GB.

    Returns:
        Its path, or None where it is not on this machine.

    Raises:
        ValueError: a file of that name has another SHA-256.
    """
    for path in _places(file, folder):
        if path.is_file():
            if verify:
                _verify(path, file)
            return path
    return None


def fetch(file: WeightFile, offline: bool = False) -> Path:
    """Return a file, downloaded if need be, with those beside it.

    Args:
        file: the file.
        offline: do not connect to the Hugging Face hub.

    Raises:
        OSError: the file is not here and cannot be downloaded.
        ValueError: the file has another SHA-256.
    """
    if file.repo:
        path = _from_hub(file, offline)
        _verify(path, file)
        return path
    found = find_local(file)
    if found is not None:
        return found
    if not file.url:
        raise FileNotFoundError(f'there is no file {file.file}')
    path = cache_folder() / file.name
    with atomic_path(path) as temporary:
        with open(temporary, 'wb') as stream:
            _download(file.url, stream)
        _verify(temporary, file)
    return path


def cache_folder() -> Path:
    """Return the folder in which torch hub keeps checkpoints."""
    return Path(torch.hub.get_dir()) / 'checkpoints'


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


def _places(file: WeightFile, folder: Path | None) -> list[Path]:
    places = []
    if folder is not None:
        places = [folder / name for name in (file.name, *file.names)]
    if file.repo:
        return places + _hub_places(file)
    places.append(cache_folder() / file.name)
    if file.package is not None:
        module, path = file.package
        spec = importlib.util.find_spec(module)  # imports nothing
        if spec is not None and spec.origin is not None:
            places.append(Path(spec.origin).parent / path)
    return [*places, asset_folder() / file.file]


def _hub_places(file: WeightFile) -> list[Path]:
    from huggingface_hub import try_to_load_from_cache  # slow

    path = try_to_load_from_cache(file.repo, file.file)
    return [Path(path)] if isinstance(path, str) else []


def _from_hub(file: WeightFile, offline: bool) -> Path:
    from huggingface_hub import hf_hub_download  # slow

    path = PurePath(file.file)
    names = [path, *(path.with_name(name) for name in file.beside)]
    first, *_ = [
        hf_hub_download(file.repo, name.as_posix(), local_files_only=offline)
        for name in names
    ]
    return Path(first)


def _verify(path: Path, file: WeightFile) -> None:
    if not file.sha256:
        return
    try:
        verify_sha256(path, file.sha256)
    except ValueError as error:
        raise ValueError(
            f'`weights`: {error}; remove it, or name it with `weights` to use '
            'it as it is'
        ) from error


def _download(url: str, stream: BinaryIO) -> None:
    request = Request(url, headers={'User-Agent': 'star-vsr'})
    with urlopen(request, timeout=_TIMEOUT) as answer:
        while block := answer.read(_BLOCK):
            stream.write(block)


def _reason(error: OSError) -> object:
    return error.reason if type(error) is URLError else error
