"""Convert weights of STAR on CogVideoX, or of its base model, to ours.

    convert_star_cogvideox.py SRC DST.safetensors [options]

SRC is the released file, mp_rank_00_model_states.pt, or the same tensors as
.safetensors: LoRA is merged, the text encoder and the autoencoder are left
out. Or it is the folder `transformer` of CogVideoX-2b or -5b as diffusers has
it, to train from: its patch embedding is widened by zeros, the local gates
are drawn. Tensors are read and written one by one, so that a file larger than
memory can be converted. Any name that is not known ends it.
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from star.models.backbones.cogvideox.checkpoints import (
    Conversion,
    convert,
    open_weights,
)
from star.models.backbones.i2vgen.checkpoints import verify_sha256
from star.utils.tensor_files import check_target, write_safetensors

DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}


class Parser(argparse.ArgumentParser):
    """Answers a wrong option with one line."""

    def error(self, message: str) -> NoReturn:
        print(f'convert_star_cogvideox: {message}', file=sys.stderr)
        raise SystemExit(2)


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add('src', type=Path, help='.pt, .safetensors, or a folder')
    add('dst', type=Path, help='.safetensors to write')
    add(
        '--dtype',
        choices=DTYPES,
        default='fp32',
        help='of what is written: fp32, 22 GB for 5B, to train from; bf16, '
        '11 GB, to restore with (default: fp32)',
    )
    add(
        '--lora-alpha',
        type=float,
        default=1,
        metavar='A',
        help='updates are added times A over their rank (default: 1, the '
        "official training's)",
    )
    add(
        '--drop',
        nargs='+',
        default=[],
        metavar='PREFIX',
        help='leave out names that begin so, besides the known ones',
    )
    add('--sha256', metavar='HEX', help='what SRC must have; a file only')
    add('--overwrite', action='store_true', help='replace DST')
    return parser.parse_args(arguments)


def run(args: argparse.Namespace) -> Conversion:
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
    """Tell what was merged and what was left out."""
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


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        found = run(args)
    except (ValueError, OSError) as error:
        print(f'convert_star_cogvideox: {error}', file=sys.stderr)
        return 2
    size = args.dst.stat().st_size / 1e9
    print(f'{args.dst}: {len(found.tensors)} tensors, {size:.2f} GB')
    if text := describe(found):
        print(text)
    return 0


if __name__ == '__main__':
    sys.exit(main())
