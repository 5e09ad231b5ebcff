"""The files of a model's weights: those used, and those of a checkpoint."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from star.apis.inference.held import Held
from star.apis.inference.stored_prompts import (
    PROMPTS,
    TEXT,
    describe_prompts,
    find_files,
    matching_prompts,
)
from star.apis.inference.weights import (
    check_source,
    find_weights,
    start_files,
)
from star.utils.origins import SourceFile, digest_of, file_of

# beginnings of the names of the tensors that a file of `weights` holds
_PREFIXES = {
    'vae': ('autoencoder.',),
    'text': ('text_encoder.',),
    'prompts': ('text_encoder.',),
    'tokenizer': (),
    'decoder': ('autoencoder.decoder.',),
}
_FOR_FILE = ('pretrained', 'weights', 'checkpoint')  # keys of parts


def describe_files(
    model: nn.Module, paths: Mapping[str, Path]
) -> list[SourceFile]:
    """Describe the files that a model was loaded from.

    Args:
        model: loaded.
        paths: a file for each part, as `find_weights` gives them.
    """
    files = []
    for slot, path in paths.items():
        prefixes = prefixes_of(model, slot)
        if slot == PROMPTS:
            files += describe_prompts(path, prefixes)
        else:
            files.append(file_of(slot, path, prefixes))
    return files


def prefixes_of(model: nn.Module, slot: str) -> tuple[str, ...]:
    """Return the beginnings of the names of the tensors of a slot's file.

    Args:
        model: that is loaded from it.
        slot: key of a config's `weights`.
    """
    autoencoder = getattr(model, 'autoencoder', None)
    if slot == 'vae' and getattr(autoencoder, 'decoder', None) is not None:
        return ('autoencoder.vae.',)  # the small decoder has its own file
    if slot in _PREFIXES:
        return _PREFIXES[slot]
    networks = ('backbone.', 'controlnet.')
    return networks if slot == 'star' and hasattr(model, 'backbone') else ('',)


def files_in_config(
    part: Mapping[str, Any], where: str = ''
) -> list[SourceFile]:
    """List the files that parts of a model load themselves.

    Args:
        part: config of the model, or of a part.
        where: dotted name of the part; empty for the model.
    """
    files = []
    for key, value in part.items():
        name = f'{where}.{key}'.removeprefix('.')
        if isinstance(value, Mapping):
            files += files_in_config(value, name)
        elif where and key in _FOR_FILE and _exists(value):
            prefix = where.removesuffix('.init_cfg') + '.'
            files.append(file_of(f'model.{name}', Path(value), [prefix]))
    return files


def check_config_files(config: Config, held: Held) -> None:
    """Refuse another file than the run's where the config names it."""
    own = {file.slot: file for file in files_in_config(config.model)}
    for file in held.record.files if held.record else []:
        if file.slot in own and own[file.slot].sha256 != file.sha256:
            path = Path(own[file.slot].path)
            raise ValueError(_other_file(path, file, held.name))


def base_files(
    config: Config, weights: str | Path | None, held: Held, lacking: set[str]
) -> dict[str, Path]:
    """Find the files of the tensors that a checkpoint does not hold.

    Args:
        config: of the model.
        weights: where the user says that they are, as for `find_weights`;
            None for what the checkpoint's record says.
        held: the checkpoint.
        lacking: names of the tensors; unused if there is a record.

    Returns:
        A path for each part, as `find_weights` gives them.

    Raises:
        ValueError: a file is missing, or is not the one that the
            checkpoint's record names.
    """
    files = held.record.files if held.record else []
    named = {f.slot: f for f in files if '.' not in f.slot}
    wanted = start_files(config, weights) or dict(config.get('weights', {}))
    folder = weights or Path(held.name).parent
    stored = matching_prompts(wanted, folder, named)
    there = {} if stored is None else {PROMPTS: stored}
    if stored is not None:
        named = {k: v for k, v in named.items() if k not in TEXT}
    if weights is None and held.record is not None:
        again = {
            slot: _find_again(file, config, held.name)
            for slot, file in named.items()
        }
        return again | there
    wanted = start_files(config, weights)
    words = wanted.pop('variants', {})
    if held.record is None:
        wanted = {k: v for k, v in wanted.items() if _covers(k, lacking)}
    else:
        wanted = {k: v for k, v in wanted.items() if k in named}
    if str(weights) in words:
        wanted |= {'star': words[str(weights)]} if 'star' in wanted else {}
        weights = None
    elif weights is not None:  # even if nothing is taken from it
        check_source(weights)
    find = find_weights if held.record else find_files
    paths = find(wanted, weights) if wanted else {}
    for slot in paths.keys() & named.keys():
        check_digest(paths[slot], named[slot], held.name)
    return paths | there


def check_digest(path: Path, file: SourceFile, checkpoint: str) -> None:
    """Refuse another file than the one of a checkpoint's record.

    Args:
        path: that is to be read.
        file: of the record.
        checkpoint: its name, for the message.

    Raises:
        ValueError: the SHA-256 is another.
    """
    if digest_of(path) != file.sha256:
        raise ValueError(_other_file(path, file, checkpoint))


def _covers(slot: str, names: Iterable[str]) -> bool:
    """Return whether a slot's file has some of the named tensors."""
    if slot in ('star', 'asset'):
        others = tuple(p for each in _PREFIXES.values() for p in each)
        return any(not name.startswith(others) for name in names)
    prefixes = _PREFIXES[slot] or _PREFIXES['text']  # of the tokenizer
    return any(name.startswith(prefixes) for name in names)


def _find_again(file: SourceFile, config: Config, checkpoint: str) -> Path:
    """Find a file of a checkpoint's record.

    It is where it was, in the checkpoint's folder, or what the config names.
    """
    path = Path(file.path)
    if path.exists() and digest_of(path) == file.sha256:
        return path
    wanted = start_files(config, None) or config.get('weights', {})
    entry = {k: v for k, v in wanted.items() if k == file.slot}
    try:
        found = find_files(entry, Path(checkpoint).parent)[file.slot]
    except (KeyError, ValueError):
        raise ValueError(
            f'{checkpoint} does not hold what it took from {file.path} '
            f'(SHA-256 {file.sha256[:12]}), and that file is gone or another '
            f'one: put it into {Path(checkpoint).parent}, or name it, or its '
            'folder, with --weights'
        ) from None
    check_digest(found, file, checkpoint)
    return found


def _other_file(path: Path, file: SourceFile, checkpoint: str) -> str:
    return (
        f'{path} is not the file that {checkpoint} was trained with: its '
        f'SHA-256 is not {file.sha256[:12]}..., that of {file.path}'
    )


def _exists(value: Any) -> bool:
    return isinstance(value, str) and Path(value).exists()
