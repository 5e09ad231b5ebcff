"""The whole state of an optimiser, also of a sharded model.

It is that of the optimiser of the unsharded model, so that a run can be
continued by any number of ranks. All ranks must call the functions.
"""

from typing import Any

from mmengine import dist
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from star.engine.sharded_state import (
    cut,
    gather,
    is_sharded,
    named_shards,
)


def gather_optimizer(model: nn.Module, wrapper: OptimWrapper) -> dict:
    """Return the `state_dict` of an optimiser with whole tensors.

    Args:
        model: sharded or not.
        wrapper: of its optimiser.

    Returns:
        The state on rank 0; if the model is sharded, the tensors are missing
        on the others.

    Raises:
        ValueError: a state has another size than its parameter.
    """
    state = wrapper.state_dict()
    if not is_sharded(model):
        return state
    names = _names_in_order(model, wrapper)
    shards = _state_shards(model, state['state'], names)
    numbers = {
        index: {k: v for k, v in entries.items() if _is_number(v)}
        for index, entries in state['state'].items()
        if index in shards
    }
    keys = {i: list(entries) for i, entries in shards.items()}
    gathered = dist.all_gather_object((numbers, keys))
    whole: dict[int, dict[str, Any]] = {}
    for some, _ in gathered:
        whole |= some
    kinds = {(k, i) for _, own in gathered for i in own for k in own[i]}
    for key in sorted({key for key, _ in kinds}):
        wanted = {i for i in range(len(names)) if (key, i) in kinds}
        held = {names[i]: e[key] for i, e in shards.items() if key in e}
        found = gather(model, {names[i] for i in wanted}, held)
        for i in wanted if found else ():
            whole[i][key] = found[names[i]]
    return {**state, 'state': {i: whole[i] for i in sorted(whole)}}


def load_optimizer(
    model: nn.Module, wrapper: OptimWrapper, state: dict
) -> None:
    """Load what `gather_optimizer` returned on rank 0.

    Args:
        model: sharded over any number of ranks, or not at all.
        wrapper: of its optimiser.
        state: the same on all ranks.

    Raises:
        ValueError: the state is of other parameters.
    """
    if not is_sharded(model):
        wrapper.load_state_dict(state)
        return
    names = dict(enumerate(_names_in_order(model, wrapper)))
    unknown = sorted(state['state'].keys() - names.keys())
    if unknown:
        raise ValueError(
            f'the optimiser has {len(names)} parameters, its saved state has '
            f'one of number {unknown[0]}'
        )
    parameters = named_shards(model)
    local: dict[int, dict[str, Any]] = {
        i: {k: v for k, v in entries.items() if _is_number(v)}
        for i, entries in state['state'].items()
        if parameters[names[i]].numel()
    }
    for key in sorted({k for e in state['state'].values() for k in e}):
        whole = {
            names[i]: entries[key]
            for i, entries in state['state'].items()
            if key in entries and not _is_number(entries[key])
        }
        shards = cut(model, whole) if whole else {}
        for i, entries in local.items():
            if names[i] in shards:
                entries[key] = shards[names[i]]
    wrapper.load_state_dict({**state, 'state': local})


def _names_in_order(model: nn.Module, wrapper: OptimWrapper) -> list[str]:
    """Name the parameters as the optimiser numbers them."""
    names = {id(p): name for name, p in named_shards(model).items()}
    groups = wrapper.optimizer.param_groups
    return [names[id(p)] for group in groups for p in group['params']]


def _state_shards(
    model: nn.Module, state: dict[int, dict[str, Any]], names: list[str]
) -> dict[int, dict[str, Tensor]]:
    """Pick the tensors of a state, of those shards that have values."""
    parameters = named_shards(model)
    found: dict[int, dict[str, Tensor]] = {}
    for index, entries in state.items():
        shard = parameters[names[index]]
        if not shard.numel():
            continue  # its `step` does not advance
        found[index] = {k: v for k, v in entries.items() if not _is_number(v)}
        for key, value in found[index].items():
            if value.shape != shard.shape:
                raise ValueError(
                    f'the optimiser keeps `{key}` of the shape '
                    f'{tuple(value.shape)} for a shard of '
                    f'{tuple(shard.shape)}: it cannot be saved; use AdamW '
                    'or SGD'
                )
    return found


def _is_number(value: Any) -> bool:
    return not isinstance(value, Tensor) or value.dim() == 0
