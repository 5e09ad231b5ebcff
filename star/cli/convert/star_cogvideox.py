"""Convert STAR on CogVideoX: `star convert star-cogvideox`."""

import argparse

import torch

from star.apis.inference.network_size import config_size
from star.cli.common import DONE
from star.models.backbones.cogvideox.checkpoints import (
    Conversion,
    convert,
    open_weights,
)
from star.models.backbones.cogvideox.published import check_size, find_size
from star.utils.files import verify_sha256
from star.utils.tensor_files import check_target, write_safetensors

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}


def run(args: argparse.Namespace) -> int:
    """Convert a file or a folder and return the exit code."""
    found = convert_weights(args)
    size = args.dst.stat().st_size / 1e9
    print(f'{args.dst}: {len(found.tensors)} tensors, {size:.2f} GB')
    print(describe(found))
    return DONE


def convert_weights(args: argparse.Namespace) -> Conversion:
    """Convert; DST appears when it is complete.

    Raises:
        ValueError: a source that cannot be read or does not fit.
        OSError: a destination that cannot be written.
    """
    check_target(args.src, args.dst, args.overwrite)
    wanted = None if args.config is None else config_size(args.config)
    if args.sha256:
        verify_sha256(args.src, args.sha256)
    try:
        source = open_weights(args.src)
        size = find_size(source)
        if size is not None and wanted is not None:
            check_size(size, wanted, args.src, args.config)
        found = convert(source, args.lora_alpha, args.drop)
    except ValueError as error:
        named = str(error).startswith(str(args.src))
        raise error if named else ValueError(f'{args.src}: {error}') from None
    notes = {'model': str(size)}
    write_safetensors(args.dst, found.tensors, DTYPES[args.dtype], notes)
    return found


def describe(found: Conversion) -> str:
    """Name the model, and list what was merged and what was left out."""
    size = find_size(found.tensors)
    assert size is not None
    lines = [f'model: {size}']
    if size.config:
        lines[0] += f', for the config {size.config}'
    if size.positions and found.positions not in ('', size.positions):
        lines += [
            f"note: the file's positions are {found.positions!r}: use it with "
            f'model.backbone.positions={found.positions}'
        ]
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
