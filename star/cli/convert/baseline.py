"""Convert the files of a diffusion baseline: `star convert baseline`."""

import argparse
from pathlib import Path

import torch

from star.apis.inference.baselines import load_files, names_files
from star.apis.inference.build import build_model, load_config
from star.cli.common import DONE
from star.models.editors.parts_baseline import PartsBaseline
from star.utils.tensor_files import check_target, held, write_safetensors

DTYPES = {
    'fp32': torch.float32,
    'fp16': torch.float16,
    'bf16': torch.bfloat16,
}


def run(args: argparse.Namespace) -> int:
    """Convert the files and return the exit code."""
    check_target(args.src, args.dst, args.overwrite)
    count = convert(args.config, args.src, args.dst, DTYPES[args.dtype])
    size = args.dst.stat().st_size / 1e9
    print(f'{args.dst}: {count} tensors, {size:.2f} GB')
    return DONE


def convert(config: str, src: Path, dst: Path, dtype: torch.dtype) -> int:
    """Write all parts of a method into one file.

    Args:
        config: of the method, a file or a name.
        src: folder with the authors' files, or the first of them, the others
            beside it.
        dst: the file, replaced if it exists.
        dtype: of its tensors.

    Returns:
        The number of tensors.

    Raises:
        ValueError: the method has no such files, or one is missing or unfit.
        OSError: a file that cannot be written.
    """
    settings = load_config(config)
    with torch.device('meta'):
        model = build_model(settings) if names_files(settings) else None
    if not isinstance(model, PartsBaseline):
        raise ValueError(
            f'config {settings.filename} is no diffusion baseline: its file '
            'is used as it is, or has a converter of its own'
        )
    load_files(model, src, src if src.is_dir() else src.parent)
    tensors = {name: held(t) for name, t in model.state_dict().items()}
    write_safetensors(dst, tensors, dtype, model.make_notes())
    return len(tensors)
