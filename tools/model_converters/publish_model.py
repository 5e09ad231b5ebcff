"""Keep a training checkpoint's weights: python publish_model.py SRC DST."""

import argparse
import sys
from pathlib import Path

from torch import Tensor

from star.engine.checkpointing import load_ema, load_weights, resume_path
from star.models.backbones.i2vgen.checkpoints import (
    load_checkpoint_file,
    unwrap,
)
from star.utils.compat import allow_mmengine_resume
from star.utils.tensor_files import save_tensors


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Write a training checkpoint's weights as safetensors."
    )
    parser.add_argument(
        'src',
        type=Path,
        help="checkpoint folder iter_N, a run's folder for its last one, "
        '.pth or .safetensors',
    )
    parser.add_argument('dst', type=Path, help='.safetensors')
    parser.add_argument(
        '--ema', action='store_true', help='the averaged weights of a run'
    )
    parser.add_argument(
        '--base',
        type=Path,
        help='file with the weights that the run kept frozen',
    )
    parser.add_argument(
        '--prefix',
        default='',
        help='keep only names that start so, without it',
    )
    parser.add_argument(
        '--vae', type=Path, help='replace the autoencoder by this file'
    )
    parser.add_argument('--half', action='store_true', help='as float16')
    parser.add_argument('--overwrite', action='store_true')
    return parser.parse_args()


def read(src: Path, ema: bool) -> dict[str, Tensor]:
    """Read the weights of a checkpoint, averaged ones in their place."""
    if not src.is_dir():
        if ema:
            raise ValueError(f'--ema needs a checkpoint folder, got {src}')
        allow_mmengine_resume()
        return unwrap(load_checkpoint_file(src))
    folder = resume_path(src)
    weights, averages = load_weights(folder), load_ema(folder)
    if ema and averages is None:
        raise ValueError(f'{folder} has no averaged weights')
    return {**weights, **averages} if ema and averages else weights


def publish(args: argparse.Namespace) -> int:
    """Write the file; return the number of parameters."""
    if args.dst.exists() and not args.overwrite:
        raise ValueError(f'{args.dst} exists (use --overwrite)')
    state = {
        name.removeprefix(args.prefix): tensor.contiguous()
        for name, tensor in read(args.src, args.ema).items()
        if name.startswith(args.prefix)
    }
    if not state:
        raise ValueError(f'no name in {args.src} starts with {args.prefix!r}')
    if args.base:
        state = {**unwrap(load_checkpoint_file(args.base)), **state}
    if args.vae:
        for name, tensor in load_checkpoint_file(args.vae).items():
            state['autoencoder.vae.' + name] = tensor
    if args.half:
        state = {name: tensor.half() for name, tensor in state.items()}
    save_tensors(state, args.dst)
    return sum(tensor.numel() for tensor in state.values())


def main() -> int:
    args = parse_args()
    try:
        count = publish(args)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    print(f'{args.dst}: {count:,} parameters')
    return 0


if __name__ == '__main__':
    sys.exit(main())
