"""Fingerprints of a cache of latents: plain configs, and hashes of weights."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from star.utils.config import describe_differences, flatten

# options that change no latent: paths of weights, which are hashed, speed, and
# decoding
_IGNORED = frozenset(
    {
        'pretrained',
        'tokenizer',
        'encode_batch',
        'decode_window',
        'decode_overlap',
    }
)


def plain(config: Any, top: bool = True) -> Any:
    """Reduce a config to JSON's types and to options that change a latent.

    Args:
        config: dicts, lists, numbers, strings; classes become their names.
        top: leave out keys such as `pretrained`.
    """
    if isinstance(config, Mapping):
        return {
            str(key): plain(value, top=False)
            for key, value in config.items()
            if not (top and key in _IGNORED)
        }
    if isinstance(config, list | tuple):
        return [plain(value, top=False) for value in config]
    if config is None or isinstance(config, bool | int | float | str):
        return config
    return getattr(config, '__qualname__', None) or repr(config)


def hash_weights(module: nn.Module) -> str:
    """Hash the weights that an encoding depends on.

    A decoder in the module is ignored. Values are rounded to bfloat16, so the
    dtype of the module does not matter. A module that holds results of
    another, such as stored prompts, has the hash of that one as `stands_for`.
    """
    if known := getattr(module, 'stands_for', ''):
        return str(known)
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if {'decoder', 'post_quant_conv'} & set(name.split('.')):
            continue
        digest.update(f'{name} {tuple(tensor.shape)};'.encode())
        values = tensor.detach().to('cpu', torch.bfloat16).reshape(-1)
        digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def difference(there: Any, here: Any, name: str = '') -> str:
    """Describe where two plain configs differ; empty if they do not.

    Args:
        there: config of a cache.
        here: config of this run. None counts as not set.
        name: of both, for the description.
    """
    flat = [
        {k: v for k, v in flatten(config, name).items() if v != 'None'}
        for config in (there, here)
    ]
    return describe_differences(*flat)
