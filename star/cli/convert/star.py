"""Convert official STAR or VEnhancer v2 weights: `star convert star`."""

import argparse
from pathlib import Path

import torch

from star.cli.common import DONE
from star.models.backbones import I2VGenUNet
from star.models.backbones.i2vgen.checkpoints import (
    StateDict,
    network_state,
    star_state,
)
from star.models.controlnets import UNetControlNet
from star.utils.files import verify_sha256
from star.utils.tensor_files import check_target, read_state, save_tensors


def run(args: argparse.Namespace) -> int:
    """Convert a file and return the exit code."""
    check_target(args.src, args.dst, args.overwrite)
    convert(args.src, args.dst, args.sha256)
    print(f'{args.dst}: {args.dst.stat().st_size / 1e9:.2f} GB')
    return DONE


def convert(src: Path, dst: Path, sha256: str | None = None) -> None:
    """Convert a file at the official size; DST appears when complete.

    Raises:
        ValueError: a source that cannot be read or does not fit.
        OSError: a destination that cannot be written.
    """
    if sha256:
        verify_sha256(src, sha256)
    source = read_state(src)
    torch.manual_seed(0)  # LIEM of VEnhancer is drawn
    state = star_state(source, expected_state())
    save_tensors({k: v.contiguous() for k, v in state.items()}, dst)


def expected_state() -> StateDict:
    """Return our names and shapes at the official size, on meta."""
    with torch.device('meta'):
        return network_state(I2VGenUNet(), UNetControlNet())
