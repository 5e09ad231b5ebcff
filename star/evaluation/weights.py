"""Files of weights that metrics need: found, checked, read without code.

Searched in this order: the file that is named, the folder that is named, the
cache of torch hub, the installed package that brings it; else it is
downloaded into the cache, once, and its SHA-256 compared.
"""

import hashlib
import importlib.util
import os
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO
from urllib.error import URLError
from urllib.request import Request, urlopen

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from star.evaluation.weight_files import FILES, WeightFile

_TIMEOUT = 30  # seconds without an answer
_BLOCK = 1 << 20


def find_weights(
    name: str,
    path: str | Path | None = None,
    weights_dir: str | Path | None = None,
) -> Path:
    """Find a published file of weights; download it where it is nowhere.

    Args:
        name: one of `FILES`.
        path: the file to take instead, whatever it is called.
        weights_dir: folder that is searched first for the published name.

    Raises:
        ValueError: it is not found and cannot be downloaded, or a file of
            the published name is not the published one.
    """
    if path is not None:
        return _named(Path(path))
    folder = check_folder(weights_dir)
    found = find_local(name, folder)
    return found if found is not None else _download(name, folder)


def find_any(
    names: tuple[str, ...],
    path: str | Path | None = None,
    weights_dir: str | Path | None = None,
) -> Path:
    """Find one of several files that do equally well.

    Args:
        names: of `FILES`, the preferred first; the last can be downloaded.
        path: as for `find_weights`.
        weights_dir: likewise.

    Raises:
        ValueError: as for `find_weights`.
    """
    if path is not None:
        return _named(Path(path))
    folder = check_folder(weights_dir)
    for name in names:
        if (found := find_local(name, folder)) is not None:
            return found
    return _download(names[-1], folder)


def find_local(name: str, folder: Path | None) -> Path | None:
    """Look for a published file without downloading it.

    Args:
        name: one of `FILES`.
        folder: searched first, or None.

    Raises:
        ValueError: a file of that name is not the published one.
    """
    entry = FILES[name]
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


def load_state(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict.

    Args:
        path: `.safetensors`, or a state dict that `torch.save` wrote, by
            itself or as `state_dict` of a training checkpoint.

    Raises:
        ValueError: the file is absent, damaged, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'`weights`: there is no file {path}')
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        state = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f'`weights`: {path} is damaged or holds code, which is never run'
        ) from None
    except Exception as error:  # noise, read as a pickle, raises anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f'`weights`: {path} cannot be read ({reason})'
        ) from None
    if isinstance(state, Mapping) and 'state_dict' in state:
        state = state['state_dict']  # a training checkpoint
    good = isinstance(state, Mapping) and all(
        isinstance(value, Tensor) for value in state.values()
    )
    if not good:
        raise ValueError(f'`weights`: {path} holds no state dict')
    return dict(state)


def fill(network: nn.Module, state: dict[str, Tensor], path: str) -> None:
    """Load a state dict that must fit exactly.

    Args:
        network: what takes the weights.
        state: names and tensors.
        path: where they come from, for the message.

    Raises:
        ValueError: a tensor is missing, left over or of another shape.
    """
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise ValueError(
            f'`weights`: {path} does not fit: {" ".join(lines[1:2]).strip()}'
        ) from None


def _named(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f'`weights`: there is no file {path}')
    return path


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


def _download(name: str, folder: Path | None) -> Path:
    """Fetch a file into the cache; it appears there complete."""
    entry = FILES[name]
    where = f'in {folder} or {cache_folder()}' if folder else 'in the cache'
    hint = 'put it into a folder and name that with `weights_dir`'
    if not entry.url:
        raise ValueError(f'`weights`: {name} is not {where}; {hint}')
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
