"""Convert STAR on CogVideoX: `star convert star-cogvideox`."""

import argparse

import torch

from star.cli.common import DONE
from star.models.backbones.cogvideox.checkpoints import (
    Conversion,
    convert,
    open_weights,
)
from star.utils.files import verify_sha256
from star.utils.tensor_files import check_target, write_safetensors

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}


def run(args: argparse.Namespace) -> int:
    """Convert a file or a folder and return the exit code."""
    found = convert_weights(args)
    size = args.dst.stat().st_size / 1e9
    print(f'{args.dst}: {len(found.tensors)} tensors, {size:.2f} GB')
    if text := describe(found):
        print(text)
    return DONE


def convert_weights(args: argparse.Namespace) -> Conversion:
    """Convert; DST appears when it is complete.

    Raises:
        ValueError: a source that cannot be read or does not fit.
        OSError: a destination that cannot be written.
    """
    check_target(args.src, args.dst, args.overwrite)
    if args.sha256:
        verify_sha256(args.src, args.sha256)
    try:
        found = convert(open_weights(args.src), args.lora_alpha, args.drop)
    except ValueError as error:
        named = str(error).startswith(str(args.src))
        raise error if named else ValueError(f'{args.src}: {error}') from None
    write_safetensors(args.dst, found.tensors, DTYPES[args.dtype])
    return found


def describe(found: Conversion) -> str:
    """List what was merged and what was left out."""
    lines = []
    if found.ranks:
        ranks = ', '.join(map(str, sorted(set(found.ranks.values()))))
        lines += [
            f'LoRA of rank {ranks} merged into {len(found.ranks)} weights'
        ]
    lines += [
        f'left out: {count} named {prefix}...'
        for prefix, count in found.left_out.items()
        if count
    ]
    return '\n'.join(lines)
