"""Make the folder of a diffusers pipeline: `star convert diffusers`."""

import argparse
from pathlib import Path

from star.apis.inference.load import read_config
from star.apis.inference.weights import RANDOM
from star.apis.pipeline.folder import is_pipeline
from star.cli.common import DONE
from star.utils.tensor_files import check_target


def run(args: argparse.Namespace) -> int:
    """Write a folder, or with --back a file; return the exit code."""
    if args.back:
        return write_file(args)
    for name in ('official',):
        if getattr(args, name):
            raise ValueError(f'--{name} needs --back')
    if args.dst.exists() and not args.overwrite:
        raise ValueError(f'{args.dst}: exists (use --overwrite)')
    if args.dst.is_file():
        raise ValueError(f'{args.dst}: is a file, not a folder')
    if is_pipeline(args.src):
        raise ValueError(f'{args.src} is a pipeline already; --back undoes it')
    if is_path(args.src) and not Path(args.src).expanduser().exists():
        raise ValueError(f'{args.src}: no such file or folder')
    from star.apis.pipeline.conversion import write_pipeline  # slow

    config = read_config(args.config, args.src)
    count = write_pipeline(config, args.src, args.dst, args.overwrite)
    print(f'{args.dst}: {count} tensors')
    return DONE


def write_file(args: argparse.Namespace) -> int:
    """Write the networks of a folder as one file; return the exit code."""
    src = Path(args.src)
    check_target(src, args.dst, args.overwrite)
    if not is_pipeline(src):
        raise ValueError(f'{src} is no folder of a pipeline')
    from star.apis.pipeline.conversion import write_back  # slow

    count = write_back(src, args.dst, args.official)
    size = args.dst.stat().st_size / 1e9
    print(f'{args.dst}: {count} tensors, {size:.2f} GB')
    return DONE


def is_path(text: str) -> bool:
    """Return whether a source is no word, such as heavy or random."""
    return text != RANDOM and not text.isidentifier()
