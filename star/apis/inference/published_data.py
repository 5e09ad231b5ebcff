"""The config of a model as data: of registered types, without paths."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from star.registry import MODELS

# arguments that name files; a downloaded config must not choose them
_FILES = ('pretrained', 'tokenizer', 'checkpoint', 'folder', 'init_cfg')
_TRAINING = ('losses',)  # arguments that restoring does not need
_ENTRY = ('repo', 'file', 'sha256', 'beside', 'licence')
_OURS = ('_scope_', 'star')  # mmengine enters it where `_base_` is ours
_SLOTS = ('vae', 'text', 'tokenizer')


def plain_model(model: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a model's config without paths and without what only trains.

    Args:
        model: of a config.
    """
    kept = {k: v for k, v in model.items() if k not in _TRAINING}
    return _without_files(kept)


def check_model(model: Any, where: str) -> None:
    """Refuse a model's config that builds more than registered types.

    mmengine would import a `type` with dots, such as 'os.system'.

    Args:
        model: read from a file of somebody else.
        where: it stands, for messages.

    Raises:
        ValueError: naming the type or the argument.
    """
    if not isinstance(model, Mapping) or 'type' not in model:
        raise ValueError(f'{where}: `model` must have a `type`')
    MODELS.import_from_location()
    for key, value in _entries(model):
        if key == 'type' and not _is_registered(value):
            raise ValueError(
                f'{where} builds {value!r}, which is no registered part of a '
                'model: import the module that has it, or update star-vsr'
            )
        if key.startswith('_') or (_is_file(key) and value is not None):
            raise ValueError(
                f'{where}: `{key}` must not be set in the model of a '
                f'published config, got {value!r}'
            )


def check_entries(weights: Any, where: str) -> None:
    """Refuse entries of weights that are no safetensors of a repository.

    Args:
        weights: of a config of somebody else.
        where: it stands, for messages.

    Raises:
        ValueError: naming the entry.
    """
    if not isinstance(weights, Mapping):
        raise ValueError(f'{where}: `weights` must be entries by part')
    for slot, entry in weights.items():
        if not _is_entry(slot, entry):
            raise ValueError(
                f'{where}: `weights.{slot}` must be a safetensors file of a '
                f'part ({", ".join(_SLOTS)}), got {entry!r}'
            )


def _is_entry(slot: str, entry: Any) -> bool:
    if slot not in _SLOTS or not isinstance(entry, Mapping):
        return False
    names = [entry.get('file'), *entry.get('beside', [])]
    if not entry.keys() <= {*_ENTRY} or not all(map(_is_inside, names)):
        return False
    return slot == 'tokenizer' or names[0].endswith('.safetensors')


def _is_inside(name: Any) -> bool:
    """Return whether a name is of a file below its folder."""
    if not isinstance(name, str) or not name:
        return False
    path = PurePath(name)
    return not path.is_absolute() and '..' not in path.parts


def _is_registered(name: Any) -> bool:
    return isinstance(name, str) and name in MODELS.module_dict


def _is_file(key: str) -> bool:
    return key in _FILES or 'weights' in key


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """List the entries of all mappings in nested containers."""
    if isinstance(value, Mapping):
        yield from value.items()
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in value:
        yield from _entries(item)


def _without_files(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _without_files(item)
            for key, item in value.items()
            if not _is_file(key) and (key, item) != _OURS
        }
    if isinstance(value, list | tuple):
        return [_without_files(item) for item in value]
    return value
