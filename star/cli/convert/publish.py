"""Write the weights of a training checkpoint: `star convert publish`."""

import argparse
from pathlib import Path

from torch import Tensor

from star.cli.common import DONE
from star.utils.checkpoint_folder import (
    load_ema,
    load_weights,
    resume_path,
)
from star.utils.compat import allow_mmengine_resume
from star.utils.tensor_files import check_target, read_state, save_tensors


def run(args: argparse.Namespace) -> int:
    """Write the file and return the exit code."""
    print(f'{args.dst}: {publish(args):,} parameters')
    return DONE


def read(src: Path, ema: bool) -> dict[str, Tensor]:
    """Read the weights of a checkpoint; averages replace theirs."""
    if not src.is_dir():
        if ema:
            raise ValueError(f'--ema needs a checkpoint folder, got {src}')
        allow_mmengine_resume()
        return read_state(src)
    folder = resume_path(src)
    weights, averages = load_weights(folder), load_ema(folder)
    if ema and averages is None:
        raise ValueError(f'{folder} has no averaged weights')
    return {**weights, **averages} if ema and averages else weights


def publish(args: argparse.Namespace) -> int:
    """Write the file and return the number of its parameters."""
    check_target(args.src, args.dst, args.overwrite)
    state = {
        name.removeprefix(args.prefix): tensor.contiguous()
        for name, tensor in read(args.src, args.ema).items()
        if name.startswith(args.prefix)
    }
    if not state:
        raise ValueError(f'no name in {args.src} starts with {args.prefix!r}')
    if args.base:
        state = {**read_state(args.base), **state}
    if args.vae:
        for name, tensor in read_state(args.vae).items():
            state['autoencoder.vae.' + name] = tensor
    if args.half:
        state = {name: tensor.half() for name, tensor in state.items()}
    save_tensors(state, args.dst)
    return sum(tensor.numel() for tensor in state.values())
