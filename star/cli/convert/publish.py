"""Write the weights of a training checkpoint: `star convert publish`."""

import argparse
import json
from collections.abc import Collection
from dataclasses import replace

from torch import Tensor

from star.apis.inference.build import load_config
from star.apis.inference.held import Held, read_held, resolve
from star.apis.inference.load import Source, load_model
from star.apis.inference.model_files import check_digest
from star.cli.common import DONE
from star.utils.checkpoint_folder import CONFIG
from star.utils.origins import METADATA, SourceFile, WeightRecord
from star.utils.tensor_files import check_target, read_state, save_tensors

# parts that have published files of their own
_APART = ('autoencoder.', 'text_encoder.')


def run(args: argparse.Namespace) -> int:
    """Write the file and return the exit code."""
    print(f'{args.dst}: {publish(args):,} parameters')
    return DONE


def publish(args: argparse.Namespace) -> int:
    """Write the file and return the number of its parameters."""
    check_target(args.src, args.dst, args.overwrite)
    held = read_held(args.src, args.ema)
    state = {**held.state}
    if args.base:
        state = {**read_state(args.base), **state}
    elif any(not _is_apart(file) for file in _files(held)):
        state = complete(args, held)
    if args.vae:
        state |= read_autoencoder(args, held)
    state = {
        name.removeprefix(args.prefix): tensor.contiguous()
        for name, tensor in state.items()
        if name.startswith(args.prefix)
    }
    if not state:
        raise ValueError(f'no name in {args.src} starts with {args.prefix!r}')
    if args.half:
        state = {name: tensor.half() for name, tensor in state.items()}
    notes = {} if args.prefix else metadata(held, state)
    save_tensors(state, args.dst, notes)
    return sum(tensor.numel() for tensor in state.values())


def read_autoencoder(
    args: argparse.Namespace, held: Held
) -> dict[str, Tensor]:
    """Read the file that --vae names.

    Raises:
        ValueError: the training had another one.
    """
    for file in _files(held):
        if file.slot == 'vae':
            check_digest(args.vae, file, held.name)
    state = read_state(args.vae)
    return {'autoencoder.vae.' + name: each for name, each in state.items()}


def complete(args: argparse.Namespace, held: Held) -> dict[str, Tensor]:
    """Add the frozen tensors of the networks that the training changed.

    Those of the autoencoder and of the text encoder stay in their files.

    Raises:
        ValueError: a file of the checkpoint's record is gone.
    """
    config = args.config
    if config is None and args.src.is_dir():
        config = resolve(args.src) / CONFIG
    if config is None:
        raise ValueError(
            f'{args.src} lacks frozen weights: name its config with --config'
        )
    source = Source(checkpoint=args.src, averaged=args.ema)
    model = load_model(load_config(config), source)
    return {
        name: tensor
        for name, tensor in model.state_dict().items()
        if name in held.state or not name.startswith(_APART)
    }


def metadata(held: Held, names: Collection[str]) -> dict[str, str]:
    """Describe, for the file's header, what the file does not hold.

    Paths of this machine are left out.

    Args:
        held: the checkpoint.
        names: of the tensors in the file.
    """
    if held.record is None:
        return {}
    files = [
        replace(file, path=file.name)
        for file in _files(held)
        if _is_apart(file) and not _is_held(file, names)
    ]
    record = WeightRecord(held.record.origins, files)
    every = [prefix for file in files for prefix in file.prefixes]
    return {METADATA: json.dumps(record.to_json(every))}


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
    return all(prefix.startswith(_APART) for prefix in file.prefixes)
