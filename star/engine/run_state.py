"""What continues a run: trained weights, random states, the config's facts."""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from star.utils.state_dicts import find_misfits

# of a config: everything that a resumed optimiser or schedule would replace
_SECTIONS = ('model', 'optim_wrapper', 'param_scheduler')


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside a wrapper for distributed training."""
    return model.get_submodule('module') if is_model_wrapper(model) else model


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Collect the parameters that the optimiser changes, by name."""
    named = unwrapped(model).named_parameters()
    return {name: p for name, p in named if p.requires_grad}


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Collect what training changes: trained parameters and all buffers."""
    model = unwrapped(model)
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    state = model.state_dict()
    return {name: state[name] for name in state if name not in frozen}


@torch.no_grad()
def load_trained(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy weights into a model in place.

    Args:
        model: possibly wrapped.
        weights: everything that is trained, perhaps frozen weights as well.

    Raises:
        ValueError: a trained tensor is missing, one is unknown, or of another
            shape.
    """
    own = unwrapped(model).state_dict()
    misfits = find_misfits(own, weights, trained_state(model).keys())
    if misfits:
        raise ValueError(f'tensors do not fit the model: {misfits}')
    for name, tensor in weights.items():
        own[name].copy_(tensor)


def digest_frozen(model: nn.Module) -> dict[str, str]:
    """Compute a digest of the frozen parameters for each part of a model.

    Reads at most 64 values of each, so that it costs next to nothing; other
    weights are told apart all the same.

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
    """Name the first tensor that holds an infinity or NaN."""
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
    """List a config's facts on model, optimiser and schedule, flat.

    Returns:
        Values as Python writes them, by dotted name.
    """
    sections = {k: config[k] for k in _SECTIONS if config.get(k)}
    return dict(_flatten(sections, ''))


def check_config(
    path: Path,
    saved: Mapping[str, str],
    current: Mapping[str, str],
    may_differ: Sequence[str],
) -> None:
    """Refuse a checkpoint that another config has made.

    Args:
        path: the checkpoint's, for the message.
        saved: facts of its config.
        current: facts of this run's.
        may_differ: patterns of names that do not matter.

    Raises:
        ValueError: they differ; names the first few.
    """
    names = sorted(
        name
        for name in saved.keys() | current.keys()
        if saved.get(name) != current.get(name)
        and not any(fnmatchcase(name, pattern) for pattern in may_differ)
    )
    if names:
        shown = ', '.join(
            f'{name} is {saved.get(name, "not set")} there and '
            f'{current.get(name, "not set")} here'
            for name in names[:3]
        )
        more = f' and {len(names) - 3} more' if len(names) > 3 else ''
        raise ValueError(
            f'{path} is of another config: {shown}{more}; resume it with its '
            'own, or list what may differ in '
            '`default_hooks.checkpoint.may_differ`'
        )


def _flatten(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, (list, tuple)):
        items = list(enumerate(value))
    else:
        yield name, repr(value)
        return
    for key, item in items:
        yield from _flatten(item, f'{name}.{key}' if name else str(key))
