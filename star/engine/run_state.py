"""The state of a run: trained weights, random states, logged scalars."""

import hashlib
import random
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from mmengine import dist
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from star.engine import sharded_state
from star.engine.sharded_state import is_sharded
from star.utils.state_dicts import clean_name, find_misfits


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside a wrapper for distributed training."""
    return model.get_submodule('module') if is_model_wrapper(model) else model


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Collect the parameters that the optimiser changes, by name."""
    named = unwrapped(model).named_parameters()
    return {clean_name(name): p for name, p in named if p.requires_grad}


def frozen_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Collect the parameters that no optimiser changes, by name."""
    named = unwrapped(model).named_parameters()
    return {clean_name(name): p for name, p in named if not p.requires_grad}


def state_names(model: nn.Module) -> set[str]:
    """Return the names of the tensors of the model inside a wrapper."""
    if is_sharded(model):
        return sharded_state.state_names(model)
    return set(unwrapped(model).state_dict())


def pick_state(model: nn.Module, names: Set[str]) -> dict[str, Tensor]:
    """Collect tensors of a model by name.

    Args:
        model: possibly wrapped. If it is sharded, all ranks must call this,
            and rank 0 alone gets tensors.
        names: of `state_names`.
    """
    if is_sharded(model):
        return sharded_state.whole_state(model, names)
    state = unwrapped(model).state_dict()
    return {name: state[name] for name in state if name in names}


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
    if is_sharded(model):
        own = sharded_state.whole_shapes(model)
    else:
        own = unwrapped(model).state_dict()
    needed = own.keys() - frozen_parameters(model).keys()
    misfits = find_misfits(own, weights, needed)
    if misfits:
        raise ValueError(f'tensors do not fit the model: {misfits}')
    if is_sharded(model):
        sharded_state.load_whole(model, weights)
        return
    for name, tensor in weights.items():
        own[name].copy_(tensor)


def digest_frozen(model: nn.Module) -> dict[str, str]:
    """Compute a digest of the frozen parameters for each part of a model.

    It reads at most 64 values of each parameter, which is fast and still
    distinguishes other weights. If the model is sharded, all ranks must call
    this.

    Returns:
        16 hexadecimal digits by the name of the model's child.
    """
    frozen = frozen_parameters(model)
    if not is_sharded(model):
        return _digest(frozen)
    whole = sharded_state.gather(model, frozen.keys())
    ordered = {name: whole[name] for name in frozen if name in whole}
    box = [_digest(ordered)]
    dist.broadcast_object_list(box)
    return box[0]


def _digest(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    digests: dict[str, Any] = {}
    for name, tensor in tensors.items():
        digest = digests.setdefault(name.split('.')[0], hashlib.sha256())
        flat = tensor.detach().reshape(-1)
        some = flat[:: max(1, len(flat) // 64)][:64].double().cpu()
        digest.update(f'{name} {tuple(tensor.shape)}'.encode())
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
