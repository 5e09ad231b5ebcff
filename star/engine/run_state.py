"""The state of a run: trained weights, random states, config entries."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from star.utils.config import describe_differences, flatten
from star.utils.state_dicts import find_misfits

# entries whose values a resumed run takes from the checkpoint
_SECTIONS = ('model', 'optim_wrapper', 'param_scheduler')


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside a wrapper for distributed training."""
    return model.get_submodule('module') if is_model_wrapper(model) else model


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Collect the parameters that the optimiser changes, by name."""
    named = unwrapped(model).named_parameters()
    return {name: p for name, p in named if p.requires_grad}


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Collect the trained parameters and all buffers."""
    model = unwrapped(model)
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    state = model.state_dict()
    return {name: state[name] for name in state if name not in frozen}


@torch.no_grad()
def load_trained(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into a model in place.

    Args:
        model: possibly wrapped.
        weights: all trained tensors, and possibly frozen ones.

    Raises:
        ValueError: a trained tensor is missing, or a tensor is unknown or has
            another shape.
    """
    own = unwrapped(model).state_dict()
    misfits = find_misfits(own, weights, trained_state(model).keys())
    if misfits:
        raise ValueError(f'tensors do not fit the model: {misfits}')
    for name, tensor in weights.items():
        own[name].copy_(tensor)


def digest_frozen(model: nn.Module) -> dict[str, str]:
    """Compute a digest of the frozen parameters for each part of a model.

    It reads at most 64 values of each parameter, which is fast and still
    distinguishes other weights.

    Returns:
        16 hexadecimal digits by the name of the model's child.
    """
    digests: dict[str, Any] = {}
    for name, parameter in unwrapped(model).named_parameters():
        if not parameter.requires_grad:
            digest = digests.setdefault(name.split('.')[0], hashlib.sha256())
            flat = parameter.detach().reshape(-1)
            some = flat[:: max(1, len(flat) // 64)][:64].double().cpu()
            digest.update(f'{name} {tuple(parameter.shape)}'.encode())
            digest.update(some.numpy().tobytes())
    return {part: digest.hexdigest()[:16] for part, digest in digests.items()}


def first_nonfinite(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor with an infinity or NaN, or None."""
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            return name
    return None


def get_rng_state() -> dict[str, Any]:
    """Collect this process's random states: Python, numpy, torch, CUDA."""
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    state = {
        'python': random.getstate(),
        'numpy': [
            str(kind),
            torch.from_numpy(np.asarray(keys, np.int64)),
            int(position),
            int(has_gauss),
            float(gauss),
        ],
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Restore what `get_rng_state` collected."""
    version, keys, gauss = state['python']
    random.setstate((version, tuple(keys), gauss))
    kind, numbers, *rest = state['numpy']
    np.random.set_state((kind, numbers.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state['torch'])
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'])


def get_histories(hub: MessageHub) -> dict[str, list[Tensor]]:
    """Collect the logged scalars: values and counts by name."""
    scalars = hub.state_dict()['log_scalars']
    return {
        name: [torch.tensor(column) for column in history.data]
        for name, history in scalars.items()
    }


def set_histories(
    hub: MessageHub, histories: Mapping[str, Sequence[Tensor]]
) -> None:
    """Restore what `get_histories` collected."""
    hub.load_state_dict(
        {
            'log_scalars': {
                name: HistoryBuffer(values.numpy(), counts.numpy())
                for name, (values, counts) in histories.items()
            },
            'runtime_info': {},
            'resumed_keys': dict.fromkeys(histories, True),
        }
    )


def describe_config(config: Config) -> dict[str, str]:
    """Flatten a config's entries on model, optimiser and schedule.

    Returns:
        The `repr` of each value by its dotted name.
    """
    sections = {k: config[k] for k in _SECTIONS if config.get(k)}
    return flatten(sections)


def check_config(
    path: Path,
    saved: Mapping[str, str],
    current: Mapping[str, str],
    may_differ: Sequence[str],
) -> None:
    """Refuse a checkpoint of another config.

    Args:
        path: of the checkpoint, for the message.
        saved: entries of the checkpoint's config.
        current: entries of this run's config.
        may_differ: patterns of names that may differ.

    Raises:
        ValueError: other entries differ; the message has the first few.
    """
    found = describe_differences(saved, current, may_differ)
    if found:
        raise ValueError(
            f'{path} is of another config: {found}; resume it with its '
            'own, or list what may differ in '
            '`default_hooks.checkpoint.may_differ`'
        )
