"""Gather the weights of a checkpoint, and the record of what it lacks."""

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from star.apis.inference.build import load_config
from star.apis.inference.held import Held, resolve
from star.apis.inference.load import Source, load_model
from star.apis.inference.model_files import check_digest
from star.apis.publish.options import PublishOptions
from star.utils.checkpoint_folder import CONFIG
from star.utils.origins import METADATA, SourceFile, WeightRecord
from star.utils.tensor_files import read_state

# parts that have published files of their own
_APART = ('autoencoder.', 'text_encoder.')
_SMALL = 'autoencoder.decoder.'  # a small decoder, which has none


def gather(
    src: Path, held: Held, options: PublishOptions
) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by the names for its file.

    Args:
        src: the checkpoint.
        held: what it holds.
        options: of publishing.

    Raises:
        ValueError: no name begins with the prefix, or a file that the
            checkpoint needs is gone or another one.
    """
    state = {**held.state}
    if options.base:
        state = {**read_state(options.base), **state}
    elif any(not _is_apart(file) for file in _files(held)):
        state = _complete(src, held, options)
    if options.vae:
        state |= _read_autoencoder(options.vae, held)
    prefix = options.prefix
    state = {
        name.removeprefix(prefix): tensor.contiguous()
        for name, tensor in state.items()
        if name.startswith(prefix)
    }
    if not state:
        raise ValueError(f'no name in {src} starts with {prefix!r}')
    if options.half:
        state = {name: tensor.half() for name, tensor in state.items()}
    return state


def own_config(src: Path, options: PublishOptions) -> str | Path:
    """Return the config of a checkpoint.

    Raises:
        ValueError: it has none, and `options` name none.
    """
    config: str | Path | None = options.config
    if config is None and src.is_dir():
        config = resolve(src) / CONFIG
    if config is None:
        raise ValueError(
            f'{src} does not record its config: name it with --config'
        )
    return config


def describe_lacking(held: Held, names: Collection[str]) -> dict[str, str]:
    """Describe, for the file's header, what the file does not hold.

    Paths of this machine are left out.

    Args:
        held: the checkpoint.
        names: of the tensors in the file.
    """
    if held.record is None:
        return {}
    files = lacking_files(held, names)
    record = WeightRecord(held.record.origins, files)
    every = [prefix for file in files for prefix in file.prefixes]
    return {METADATA: json.dumps(record.to_json(every))}


def lacking_files(held: Held, names: Collection[str]) -> list[SourceFile]:
    """List the files of the parts that a published file does not hold.

    Args:
        held: the checkpoint.
        names: of the tensors in the file.
    """
    return [
        replace(file, path=file.name)
        for file in _files(held)
        if _is_apart(file) and not _is_held(file, names)
    ]


def _read_autoencoder(vae: Path, held: Held) -> dict[str, Tensor]:
    """Read the user's file; refuse it if the training had another one."""
    for file in _files(held):
        if file.slot == 'vae':
            check_digest(vae, file, held.name)
    state = read_state(vae)
    return {'autoencoder.vae.' + name: each for name, each in state.items()}


def _complete(
    src: Path, held: Held, options: PublishOptions
) -> dict[str, Tensor]:
    """Add the frozen tensors of the networks that the training changed.

    Those of the autoencoder and of the text encoder stay in their files.
    """
    config = load_config(own_config(src, options))
    model = load_model(config, Source(src, averaged=options.averaged))
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name in held.state or not _is_of_part(name)
    }


def _is_held(file: SourceFile, names: Collection[str]) -> bool:
    """Return whether tensors are those of a file, and no more is in it.

    Beside a text encoder's file lies its tokenizer.
    """
    return file.slot != 'text' and any(map(file.has, names))


def _files(held: Held) -> list[SourceFile]:
    """List the files of what a checkpoint does not hold."""
    return list(held.record.files) if held.record else []


def _is_apart(file: SourceFile) -> bool:
    """Return whether a file has nothing but parts of their own."""
    return all(map(_is_of_part, file.prefixes))


def _is_of_part(name: str) -> bool:
    return name.startswith(_APART) and not name.startswith(_SMALL)
