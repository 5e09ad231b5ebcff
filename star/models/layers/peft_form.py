"""LoRA in the form of PEFT and of other trainers: names and strengths."""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from star.models.layers.lora import LoRA

# what trainers and programs put before a layer's name
_PREFIXES = ('transformer.', 'diffusion_model.', 'base_model.model.', 'model.')
# the half of an update, perhaps with the name of an adapter of PEFT
_HALF = re.compile(
    r'\.(?:lora_(?P<letter>[AB])(?:\.(?!weight$)\w+)?|lora_(?P<word>down|up))'
    r'\.weight$'
)
_ALPHA = '.alpha'
_SHOWN = 3  # names that a message lists


class Update(NamedTuple):
    """A low-rank update of one layer: alpha / rank * B A x.

    Attributes:
        a: (rank, in).
        b: (out, rank).
        alpha: strength.
    """

    a: Tensor
    b: Tensor
    alpha: float


def read_updates(
    state: Mapping[str, Tensor],
    layers: Mapping[str, nn.Module],
    config: Mapping[str, Any] | None = None,
) -> dict[str, Update]:
    """Find the layer of each tensor of an adapter.

    Args:
        state: tensors with 'lora_A' and 'lora_B', or 'lora_down' and
            'lora_up' in their names, and strengths '.alpha'.
        layers: the network's modules by name.
        config: PEFT's, as in `adapter_config.json`; a strength that neither
            it nor the state has is the rank.

    Returns:
        The updates by the name of their layer.

    Raises:
        ValueError: naming the tensors that do not fit; all of them do else.
    """
    halves: dict[str, dict[str, Tensor]] = {}
    alphas: dict[str, float] = {}
    unknown = []
    for name, tensor in state.items():
        match = _HALF.search(name)
        if match:
            half = match['letter'] or {'down': 'A', 'up': 'B'}[match['word']]
            layer = strip_prefixes(name[: match.start()], layers)
            if half in halves.setdefault(layer, {}):
                raise ValueError(f'several tensors are half {half} of {layer}')
            halves[layer][half] = tensor
        elif name.endswith(_ALPHA) and tensor.numel() == 1:
            layer = strip_prefixes(name.removesuffix(_ALPHA), layers)
            alphas[layer] = tensor.item()
        else:
            unknown.append(name)
    _refuse(unknown, 'of no known kind')
    _refuse(sorted(alphas.keys() - halves.keys()), 'a strength of nothing')
    _refuse(_misfits(halves, layers))
    return {
        layer: Update(
            both['A'],
            both['B'],
            _alpha(layer, alphas, len(both['A']), config or {}),
        )
        for layer, both in halves.items()
    }


def strip_prefixes(name: str, layers: Mapping[str, object]) -> str:
    """Remove what stands before the name of one of our layers."""
    while name not in layers:
        prefix = next((p for p in _PREFIXES if name.startswith(p)), None)
        if prefix is None:
            break
        name = name.removeprefix(prefix)
    return name


def make_lora(update: Update, like: Tensor) -> LoRA:
    """Make the layer that computes an update.

    Args:
        update: the update.
        like: whose dtype and device it gets: the weight of its layer.
    """
    rank, width = update.a.shape
    with torch.device('meta'):
        made = LoRA(width, len(update.b), rank, update.alpha)
    made.a = nn.Parameter(update.a.to(like), requires_grad=False)
    made.b = nn.Parameter(update.b.to(like), requires_grad=False)
    return made


def peft_state(
    updates: Mapping[str, Update], prefix: str = 'transformer.'
) -> dict[str, Tensor]:
    """Name updates as PEFT and diffusers do, with the rank as strength.

    alpha / rank is multiplied into B: a program that knows no strengths
    computes the same. That is exact for powers of two, such as STAR's 1 / 512.

    Args:
        updates: by the name of their layer.
        prefix: of all names.
    """
    state = {}
    for layer, (a, b, alpha) in updates.items():
        scale = alpha / len(a)
        state[f'{prefix}{layer}.lora_A.weight'] = a.contiguous()
        scaled = b if scale == 1 else (b.float() * scale).to(b.dtype)
        state[f'{prefix}{layer}.lora_B.weight'] = scaled.contiguous()
    return state


def _alpha(
    layer: str,
    alphas: Mapping[str, float],
    rank: int,
    config: Mapping[str, Any],
) -> float:
    """Return the strength of a layer's update, for alpha / rank."""
    if layer in alphas:
        return alphas[layer]
    alpha = config.get('lora_alpha', rank)
    for pattern, value in (config.get('alpha_pattern') or {}).items():
        if re.search(rf'(^|\.){pattern.removeprefix("^")}$', layer):
            alpha = value
    return alpha * math.sqrt(rank) if config.get('use_rslora') else alpha


def _misfits(
    halves: Mapping[str, Mapping[str, Tensor]],
    layers: Mapping[str, nn.Module],
) -> list[str]:
    """List what is wrong with the halves of each layer."""
    found = []
    for name, both in halves.items():
        layer = layers.get(name)
        if layer is None:
            found.append(f'{name}: there is no such layer')
        elif not isinstance(layer, nn.Linear):
            found.append(f'{name}: only linear layers can have an update')
        elif len(both) < 2:
            (half,) = both
            found.append(f'{name}: has lora_{half} without the other half')
        else:
            found += _shape_misfit(name, both, layer)
    return found


def _shape_misfit(
    name: str, both: Mapping[str, Tensor], layer: nn.Linear
) -> list[str]:
    a, b = (tuple(both[half].shape) for half in 'AB')
    width, height = layer.in_features, layer.out_features
    flat = len(a) == len(b) == 2
    if flat and (a[1], b[0]) == (width, height) and a[0] == b[1] > 0:
        return []
    return [
        f'{name}: A is {a} and B {b}, but must be (rank, {width}) and '
        f'({height}, rank)'
    ]


def _refuse(names: list[str], what: str = '') -> None:
    """Raise a ValueError that lists the first of some names."""
    if names:
        shown = '; '.join(names[:_SHOWN]) + '; ...' * (len(names) > _SHOWN)
        trait = f' {what}' * bool(what)
        raise ValueError(f'LoRA weights do not fit: {shown}{trait}')
