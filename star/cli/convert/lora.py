"""Write LoRA of a training in PEFT's form: `star convert lora`."""

import argparse
from pathlib import Path
from typing import Any

from torch import Tensor

from star.apis.inference.build import load_config
from star.apis.inference.held import read_held, resolve
from star.apis.pipeline.lora import write_adapter
from star.cli.common import DONE
from star.models.layers.peft_form import Update
from star.utils.checkpoint_folder import CONFIG
from star.utils.tensor_files import check_target

_NETWORK = 'backbone.transformer.'  # whose layers have diffusers' names
_A, _B = '.lora.a', '.lora.b'


def run(args: argparse.Namespace) -> int:
    """Write the file and return the exit code."""
    check_target(args.src, args.dst, args.overwrite)
    held = read_held(args.src, args.ema)
    updates = find_updates(held.state, find_alpha(args))
    if not updates:
        raise ValueError(
            f'{args.src} holds no LoRA of a transformer of CogVideoX'
        )
    write_adapter(updates, args.dst)
    rest = len(held.state) - 2 * len(updates)
    print(f'{args.dst}: updates of {len(updates)} layers')
    if rest:
        print(f'left out: {rest} tensors of {args.src} that are no LoRA')
    return DONE


def find_updates(state: Any, alpha: float) -> dict[str, Update]:
    """Return the updates by the names of their layers.

    Args:
        state: tensors by name.
        alpha: strength of all.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {
        name.removesuffix(_A).removeprefix(_NETWORK): (
            tensor,
            state[name.removesuffix(_A) + _B],
        )
        for name, tensor in state.items()
        if name.startswith(_NETWORK) and name.endswith(_A)
    }
    return {layer: Update(*both, alpha) for layer, both in found.items()}


def find_alpha(args: argparse.Namespace) -> float:
    """Return the strength that the config of the training says, else 1."""
    if args.lora_alpha is not None:
        return args.lora_alpha
    config: str | Path | None = args.config
    if config is None and args.src.is_dir():
        own = resolve(args.src) / CONFIG
        config = own if own.is_file() else None
    if config is None:
        return 1
    lora = load_config(config).model.get('backbone', {}).get('lora') or {}
    return lora.get('alpha', 1)
