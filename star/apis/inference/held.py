"""Read what a checkpoint holds, and the record of what it does not hold."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from star.utils.checkpoint_folder import (
    EMA,
    LAST,
    ORIGINS,
    WEIGHTS,
    load_ema,
    load_weights,
    resume_path,
)
from star.utils.files import read_json
from star.utils.origins import (
    CHECKPOINT,
    METADATA,
    SourceFile,
    WeightRecord,
    file_of,
    read_record,
)
from star.utils.tensor_files import (
    open_safetensors,
    read_checkpoint,
    read_state,
)


@dataclass(frozen=True)
class Held:
    """The tensors of a checkpoint.

    Args:
        name: its path, for messages.
        state: tensors by name.
        files: that were read.
        record: where the model came from; its `files` have what the
            checkpoint lacks. None for a file without a record.
    """

    name: str
    state: Mapping[str, Tensor]
    files: list[SourceFile] = field(default_factory=list)
    record: WeightRecord | None = None


def is_checkpoint(path: str | Path) -> bool:
    """Return whether a path is a checkpoint with what it knows of itself.

    It is the folder of a training or of one checkpoint, a file that
    mmengine's Runner wrote, or one that `star convert publish` wrote, or any
    file (.pth, .safetensors) of a whole STARModel.
    """
    path = Path(path)
    if path.is_dir():
        return (path / WEIGHTS).is_file() or (path / LAST).is_file()
    if not path.is_file():
        return False
    if path.suffix == '.pth':
        content = read_checkpoint(path)
        if {'meta', 'state_dict'} <= content.keys():
            return True
        return _is_whole(content.get('state_dict', content))
    if path.suffix != '.safetensors':
        return False
    whole = _is_whole(open_safetensors(path))
    return whole or _read_metadata(path) is not None


def _is_whole(names: Iterable[str]) -> bool:
    """Return whether tensors have the names of a whole STARModel."""
    return any(
        name.removeprefix('module.').startswith('autoencoder.')
        for name in names
    )


def read_held(path: str | Path, averaged: bool = False) -> Held:
    """Read a checkpoint.

    Args:
        path: a checkpoint's folder, a training's folder for its last one, or
            a file of tensors.
        averaged: take the averaged weights where there are any.

    Raises:
        ValueError: there is no checkpoint, no averaged weights, or a file is
            damaged.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f'there is no checkpoint {str(path)!r}')
    path = resolve(path)
    if path.is_dir():
        return _read_folder(path, averaged)
    if averaged and path.suffix == '.safetensors':
        raise ValueError(f'--ema needs a checkpoint folder or .pth: {path}')
    state = read_state(path, averaged=averaged)
    record = _read_metadata(path)
    return Held(str(path), state, [file_of(CHECKPOINT, path, [])], record)


def resolve(path: Path) -> Path:
    """Return the checkpoint that a folder is or names.

    Args:
        path: a file, a checkpoint's folder, or a training's.

    Raises:
        ValueError: the folder names none.
    """
    if not path.is_dir() or (path / WEIGHTS).is_file():
        return path
    last = path / LAST
    if last.is_file():  # mmengine's own hook names a file
        file = Path(last.read_text(encoding='utf-8').strip())
        for place in (file, path / file.name):
            if place.is_file():
                return place
        return resume_path(path)
    raise ValueError(
        f'{path} is no checkpoint: it has neither {WEIGHTS} nor {LAST}'
    )


def _read_folder(folder: Path, averaged: bool) -> Held:
    state = load_weights(folder)
    files = [file_of(CHECKPOINT, folder / WEIGHTS, [])]
    if averaged:
        averages = load_ema(folder)
        if averages is None:
            raise ValueError(f'{folder} has no averaged weights')
        state |= averages
        files.append(file_of(CHECKPOINT, folder / EMA, list(averages)))
    record = folder / ORIGINS
    found = read_record(read_json(record)) if record.is_file() else None
    return Held(str(folder), state, files, found)


def _read_metadata(path: Path) -> WeightRecord | None:
    """Read the record in a safetensors file's header."""
    if path.suffix != '.safetensors':
        return None
    try:
        with safe_open(str(path), framework='pt') as file:
            text = (file.metadata() or {}).get(METADATA)
        return None if text is None else read_record(json.loads(text))
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f'{path}: cannot be read ({error})') from None
