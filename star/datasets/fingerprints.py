"""What made a cache: configs reduced to plain values, weights to a hash."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from star.utils.config import describe_differences, flatten

# Where weights lie (they have a hash of their own), and what changes speed
# and the way back only.
_NO_MATTER = frozenset(
    {
        'pretrained',
        'tokenizer',
        'encode_batch',
        'decode_chunk',
        'decode_overlap',
    }
)


def plain(config: Any, top: bool = True) -> Any:
    """Reduce a config to what decides on its result, as JSON gives it back.

    Args:
        config: dicts, lists, numbers, strings; classes by their names.
        top: whether keys such as `pretrained` are left out.
    """
    if isinstance(config, Mapping):
        return {
            str(key): plain(value, top=False)
            for key, value in config.items()
            if not (top and key in _NO_MATTER)
        }
    if isinstance(config, list | tuple):
        return [plain(value, top=False) for value in config]
    if config is None or isinstance(config, bool | int | float | str):
        return config
    return getattr(config, '__qualname__', None) or repr(config)


def hash_weights(module: nn.Module) -> str:
    """Hash the weights that decide on an encoding.

    A decoder inside has no part in it. Values are rounded to bfloat16, so
    that the dtype in which a run keeps them does not matter.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        if {'decoder', 'post_quant_conv'} & set(name.split('.')):
            continue
        digest.update(f'{name} {tuple(tensor.shape)};'.encode())
        values = tensor.detach().to('cpu', torch.bfloat16).reshape(-1)
        digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def difference(there: Any, here: Any, name: str = '') -> str:
    """Describe where two plain configs differ; empty where they do not.

    Args:
        there: a cache's.
        here: the run's. None counts as not set.
        name: of both, for the description.
    """
    flat = [
        {k: v for k, v in flatten(config, name).items() if v != 'None'}
        for config in (there, here)
    ]
    return describe_differences(*flat)
