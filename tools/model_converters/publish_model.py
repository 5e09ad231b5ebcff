"""Keep a training checkpoint's weights: python publish_model.py SRC DST."""

import argparse
import sys
from pathlib import Path

from safetensors.torch import save_file

from star.compat import allow_mmengine_resume
from star.models.checkpoints import load_checkpoint_file, unwrap


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Write a training checkpoint's weights as safetensors."
    )
    parser.add_argument('src', type=Path, help='.pth of a run, or safetensors')
    parser.add_argument('dst', type=Path, help='.safetensors')
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


def publish(args: argparse.Namespace) -> int:
    """Write the file; return the number of parameters."""
    if args.dst.exists() and not args.overwrite:
        raise ValueError(f'{args.dst} exists (use --overwrite)')
    allow_mmengine_resume()
    state = unwrap(load_checkpoint_file(args.src))
    state = {
        name.removeprefix(args.prefix): tensor.contiguous()
        for name, tensor in state.items()
        if name.startswith(args.prefix)
    }
    if args.vae:
        for name, tensor in load_checkpoint_file(args.vae).items():
            state['autoencoder.vae.' + name] = tensor
    if not state:
        raise ValueError(f'no name in {args.src} starts with {args.prefix!r}')
    if args.half:
        state = {name: tensor.half() for name, tensor in state.items()}
    part = args.dst.with_name(args.dst.name + '.part')
    save_file(state, part)
    part.replace(args.dst)
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
