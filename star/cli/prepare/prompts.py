"""Store the embeddings of a few prompts: `star prepare prompts`."""

import argparse
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from star.apis.inference.build import build_part, load_config
from star.apis.train.latent_cache import load_text_encoder
from star.cli.common import DONE, say
from star.datasets.fingerprints import hash_weights
from star.models.restoration.options import build_options
from star.models.text_encoders.open_clip import join_prompts
from star.models.text_encoders.stored import StoredPrompts, save_prompts
from star.utils.origins import digest_of
from star.utils.weight_files import cache_folder


def run(args: argparse.Namespace) -> int:
    """Write the file and return the exit code.

    Raises:
        ValueError: the config has no text encoder, or weights are missing.
    """
    settings = load_config(args.config)
    _check_encoder(settings)
    dst = _choose_file(settings, args.dst)
    prompts = list_prompts(settings, args.prompt)
    encoder = build_part(settings, 'text_encoder', 'meta')
    if prompts == [''] and getattr(encoder, 'zero_empty', False):
        embeddings = torch.zeros(encoder(prompts).shape)
        stored = StoredPrompts(prompts, any_weights=True)
    else:
        stored, embeddings = encode(args, settings, prompts)
    save_prompts(dst, stored, embeddings)
    size = dst.stat().st_size / 2**20
    print(f'{dst}: {_count(prompts)}, {size:.1f} MiB')
    return DONE


def encode(
    args: argparse.Namespace, settings: Config, prompts: list[str]
) -> tuple[StoredPrompts, Tensor]:
    """Encode prompts with the text encoder's weights.

    Args:
        args: options of the command.
        settings: of the model.
        prompts: N texts.

    Returns:
        What the file's header says, and embeddings (N, L, D) float32.

    Raises:
        ValueError: weights are missing.
    """
    encoder, files = load_text_encoder(settings, args.weights, args.device)
    for prompt in prompts:
        lost = encoder.count_overflow(prompt)
        if lost:
            say(f'note: {lost} tokens too many in: {prompt}')
    with torch.inference_mode():
        embeddings = encoder(prompts).float().cpu()
    named = {k: (path.name, digest_of(path)) for k, path in files.items()}
    return StoredPrompts(prompts, hash_weights(encoder), named), embeddings


def list_prompts(settings: Config, given: list[str] | None) -> list[str]:
    """Return the prompts to store, each once.

    Args:
        settings: of the model, with its `restore_options`.
        given: by the user; None for those of the options and the empty one.
    """
    if given is None:
        options: Any = build_options(settings.model.get('restore_options', {}))
        positive = join_prompts(options.prompt, options.prompt_suffix)
        given = [positive, options.negative_prompt, '']
    return list(dict.fromkeys(prompt.strip() for prompt in given))


def _check_encoder(settings: Config) -> None:
    encoder = settings.model.get('text_encoder')
    if encoder is None or encoder.type == 'StoredTextEncoder':
        raise ValueError(
            f'config {settings.filename} has no text encoder that reads '
            'prompts: name one that has'
        )


def _choose_file(settings: Config, given: Path | None) -> Path:
    """Return where to write: where the config looks for it, unless given."""
    if given is not None:
        if given.suffix != '.safetensors':
            raise ValueError(f'`dst` must end in .safetensors, got {given}')
        return given
    entry = settings.get('weights', {}).get('prompts')
    if entry is None:
        raise ValueError(
            f'config {settings.filename} names no `prompts` in its '
            '`weights`: give the file to write as well'
        )
    return cache_folder() / Path(entry.file).name


def _count(prompts: list[str]) -> str:
    return '1 prompt' if len(prompts) == 1 else f'{len(prompts)} prompts'
