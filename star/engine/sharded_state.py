"""The whole state of a model whose parameters are shared out over ranks.

With FSDP a rank holds a flat piece, its shard, of each parameter, of its
gradient and of the optimiser's state. The functions here have the same
result for any number of ranks. All ranks must call them together.
"""

from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager

import torch
from mmengine import dist
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from star.utils.state_dicts import clean_name, find_misfits


def is_sharded(model: nn.Module) -> bool:
    """Return whether ranks hold shards of the model's parameters."""
    return isinstance(model, FullyShardedDataParallel)


def gather(
    model: nn.Module,
    names: Set[str],
    shards: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Put tensors together from the shards of all ranks.

    Args:
        model: sharded.
        names: of parameters, the same on all ranks.
        shards: this rank's shards by name, laid out as those of the
            parameters; None for the parameters' own values. A shard without
            values may be missing.

    Returns:
        Whole tensors by name on the CPU, on rank 0; nothing on the others.
    """
    whole: dict[str, Tensor] = {}
    with _holding(model, shards or {}):
        for parameters in _whole_units(model, names, writeback=False):
            if dist.is_main_process():
                for name, parameter in parameters.items():
                    whole[name] = parameter.detach().to('cpu', copy=True)
    return whole


def cut(model: nn.Module, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Cut tensors into this rank's shards, as the parameters are cut.

    Args:
        model: sharded; it is unchanged afterwards.
        whole: tensors by the names of parameters, the same on all ranks.

    Raises:
        ValueError: a tensor has another shape than its parameter, or an
            unknown name.
    """
    misfits = find_misfits(whole_shapes(model), whole, set())
    if misfits:
        raise ValueError(f'tensors do not fit the model: {misfits}')
    parameters = named_shards(model)
    with _holding(model, {name: parameters[name].detach() for name in whole}):
        _fill(model, whole)
        return {name: parameters[name].detach().clone() for name in whole}


def state_names(model: nn.Module) -> set[str]:
    """Return the names of a sharded model's `state_dict`."""
    return {*named_shards(model), *_named_buffers(model)}


def whole_state(model: nn.Module, names: Set[str]) -> dict[str, Tensor]:
    """Return entries of a sharded model's `state_dict` by name.

    Returns:
        Whole tensors on the CPU, on rank 0; nothing on the others.
    """
    whole = gather(model, names)
    if dist.is_main_process():
        for name, buffer in _named_buffers(model).items():
            if name in names:
                whole[name] = buffer.detach().cpu()
    return whole


def whole_shapes(model: nn.Module) -> dict[str, Tensor]:
    """Return a sharded model's `state_dict` on the device `meta`."""
    units = _whole_units(model, named_shards(model).keys(), writeback=False)
    found = {
        name: torch.empty_like(parameter, device='meta')
        for parameters in units
        for name, parameter in parameters.items()
    }
    return found | {n: b.to('meta') for n, b in _named_buffers(model).items()}


@torch.no_grad()
def load_whole(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy whole parameters and buffers into a sharded model.

    Args:
        model: sharded.
        tensors: of the model's names and shapes, the same on all ranks.
    """
    _fill(model, tensors)
    for name, buffer in _named_buffers(model).items():
        if name in tensors:
            buffer.copy_(tensors[name])


def named_shards(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return this rank's shards of all parameters by clean name."""
    named = model.named_parameters(remove_duplicate=False)
    return {clean_name(name): parameter for name, parameter in named}


def free_gathered(model: nn.Module) -> None:
    """Drop parameters that a forward pass has left whole.

    FSDP keeps those of the outer unit for the backward pass. Without one,
    they would hide what is written into the shards.
    """
    for unit in FullyShardedDataParallel.fsdp_modules(model):
        handle = unit._handle
        if handle is None or not handle.uses_sharded_strategy:
            continue
        whole = getattr(handle.flat_param, '_full_param_padded', None)
        if whole is not None and whole.untyped_storage().size():
            handle.reshard(free_unsharded_flat_param=True)


def _fill(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        units = _whole_units(model, tensors.keys(), writeback=True)
        for parameters in units:
            for name, parameter in parameters.items():
                parameter.copy_(tensors[name])


@contextmanager
def _holding(model: nn.Module, shards: Mapping[str, Tensor]) -> Iterator[None]:
    """Let parameters hold other shards for a while."""
    free_gathered(model)
    parameters = named_shards(model)
    own = {name: parameters[name].detach().clone() for name in shards}
    try:
        with torch.no_grad():
            for name, shard in shards.items():
                parameters[name].copy_(shard)
        yield
    finally:
        with torch.no_grad():
            for name, shard in own.items():
                parameters[name].copy_(shard)


def _whole_units(
    model: nn.Module, names: Set[str], writeback: bool
) -> Iterator[dict[str, nn.Parameter]]:
    """Gather unit after unit, so that memory holds one at a time.

    Yields:
        Those of the wanted parameters that are in the unit, whole.
    """
    free_gathered(model)
    for unit, parameters in named_units(model):
        wanted = {n: p for n, p in parameters.items() if n in names}
        if wanted or unit is model:  # FSDP must see the outer unit first
            with FullyShardedDataParallel.summon_full_params(
                unit, recurse=False, writeback=writeback
            ):
                yield wanted


def named_units(
    model: nn.Module,
) -> list[tuple[FullyShardedDataParallel, dict[str, nn.Parameter]]]:
    """List the units with their own parameters, the outer one first."""
    units: dict[str, tuple[FullyShardedDataParallel, dict]] = {
        f'{name}.' if name else '': (module, {})
        for name, module in model.named_modules()
        if isinstance(module, FullyShardedDataParallel)
    }
    for name, parameter in model.named_parameters(remove_duplicate=False):
        owner = max((p for p in units if name.startswith(p)), key=len)
        units[owner][1][clean_name(name)] = parameter
    return list(units.values())


def _named_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return the buffers that a `state_dict` has, by clean name."""
    return {
        clean_name(f'{prefix}.{name}' if prefix else name): buffer
        for prefix, module in model.named_modules(remove_duplicate=False)
        for name, buffer in module.named_buffers(recurse=False)
        if name not in module._non_persistent_buffers_set
    }
