"""Convert official STAR or VEnhancer v2 weights to our safetensors."""

import argparse
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from star.models.backbones import I2VGenUNet
from star.models.backbones.i2vgen.checkpoints import (
    StateDict,
    load_checkpoint_file,
    network_state,
    star_state,
    verify_sha256,
)
from star.models.controlnets import UNetControlNet
from star.utils.tensor_files import check_target, save_tensors


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('src', type=Path, help='.pt or .safetensors')
    parser.add_argument('dst', type=Path, help='.safetensors to write')
    parser.add_argument('--overwrite', action='store_true')
    parser.add_argument('--sha256', help='what SRC must have')
    return parser.parse_args(arguments)


def convert(src: Path, dst: Path, sha256: str | None = None) -> None:
    """Convert a file at the official size; DST appears when complete.

    Raises:
        ValueError: a source that cannot be read or does not fit.
        OSError: a destination that cannot be written.
    """
    checkpoint = load_checkpoint_file(src)
    if sha256:
        verify_sha256(src, sha256)
    torch.manual_seed(0)  # LIEM of VEnhancer is drawn
    state = star_state(checkpoint, expected_state())
    save_tensors({k: v.contiguous() for k, v in state.items()}, dst)


def expected_state() -> StateDict:
    """Give our names at the official size, on meta."""
    with torch.device('meta'):
        return network_state(I2VGenUNet(), UNetControlNet())


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        check_target(args.src, args.dst, args.overwrite)
        convert(args.src, args.dst, args.sha256)
    except (ValueError, OSError) as error:
        print(f'convert_star: {error}', file=sys.stderr)
        return 2
    print(f'{args.dst}: {args.dst.stat().st_size / 1e9:.2f} GB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
