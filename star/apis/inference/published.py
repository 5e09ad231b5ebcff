"""Read the folder of a published model: its config as data, its weights."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from star.apis.inference.published_data import check_entries, check_model
from star.utils.checkpoint_folder import CONFIG
from star.utils.files import read_json, verify_sha256

FORMAT = 'star-model/1'
WEIGHTS = 'model.safetensors'
CARD = 'README.md'
_FILE = re.compile(r'[\w-][\w.-]*\.safetensors')
_NAME = re.compile(r'[\w-][\w.-]*')
_SHA256 = re.compile('[0-9a-f]{64}')


@dataclass(frozen=True)
class PublishedConfig:
    """The content of a published model's `config.json`.

    Args:
        name: of the model.
        model: config of the model, of registered types.
        file: name of the file of its weights, in the same folder.
        sha256: of that file.
        weights: files of other repositories, by part, as in a config.
    """

    name: str
    model: dict[str, Any]
    file: str
    sha256: str
    weights: dict[str, Any]


@dataclass(frozen=True)
class PublishedModel:
    """A published model that is on this machine, with verified weights.

    Args:
        settings: its config: `model`, `weights` and `config_name`.
        weights: the file of its weights.
    """

    settings: Config
    weights: Path


def open_published(folder: Path, source: object) -> PublishedModel:
    """Read a published model and verify its weights.

    Args:
        folder: with `config.json` and the weights.
        source: how the user names it, for messages.

    Raises:
        ValueError: as for `read_manifest`; the weights are missing or
            damaged.
    """
    manifest = read_manifest(folder, source)
    path = folder / manifest.file
    if not path.is_file():
        raise ValueError(
            f'{source} has no {manifest.file}, which its {CONFIG} names'
        )
    verify_sha256(path, manifest.sha256)
    content = {
        'model': manifest.model,
        'weights': manifest.weights,
        'config_name': manifest.name,
    }
    settings = Config(content, filename=str(folder / CONFIG))
    return PublishedModel(settings, path)


def read_manifest(folder: Path, source: object) -> PublishedConfig:
    """Read `config.json` of a published model; nothing in it is run.

    Args:
        folder: with the file.
        source: how the user names it, for messages.

    Raises:
        ValueError: there is no such file, it is damaged or of another
            program, names weights that are no safetensors, or builds what
            is not registered.
    """
    if not (folder / CONFIG).is_file():
        raise ValueError(
            f'{source} has no {CONFIG}: `star convert publish` writes one'
        )
    content = read_json(folder / CONFIG)
    where = f'{CONFIG} of {source}'
    _check_format(content, where)
    model, weights = content.get('model'), content.get('weights', {})
    check_model(model, where)
    check_entries(weights, where)
    file, sha256 = _read_file(content.get('files'), where)
    name = check_name(content.get('name'), where)
    return PublishedConfig(name, model, file, sha256, weights)


def check_name(name: Any, where: str) -> str:
    """Return a model's name; it becomes part of results and of files.

    Raises:
        ValueError: it has other letters than it may.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f'{where}: the name of a model must be letters, digits, -, _ and '
            f'., got {name!r}'
        )
    return name


def _check_format(content: Any, where: str) -> None:
    found = content.get('format') if isinstance(content, Mapping) else None
    if found == FORMAT:
        return
    if isinstance(found, str) and found.startswith('star-model/'):
        raise ValueError(
            f'{where} is of star-vsr {content.get("version")}, in the format '
            f'{found}, not {FORMAT}: install that version'
        )
    raise ValueError(
        f'{where} is not of a published model: its `format` must be '
        f'{FORMAT!r}, got {found!r}'
    )


def _read_file(files: Any, where: str) -> tuple[str, str]:
    """Return the name and the SHA-256 of the file of weights."""
    if not isinstance(files, Mapping) or len(files) != 1:
        raise ValueError(f'{where}: `files` must name one file, got {files!r}')
    ((name, facts),) = files.items()
    if not _FILE.fullmatch(name):
        raise ValueError(
            f'{where}: weights must be a .safetensors file in its folder, '
            f'got {name!r}; pickles are never loaded'
        )
    sha256 = facts.get('sha256') if isinstance(facts, Mapping) else None
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(
            f'{where}: `sha256` of {name} must be 64 hexadecimal digits, got '
            f'{sha256!r}'
        )
    return name, sha256
