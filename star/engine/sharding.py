"""Sharding of a model over GPUs: its units, and what a run needs for it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from star.engine.sharded_gradients import clip_by_whole_norm
from star.engine.sharded_state import is_sharded, named_units
from star.registry import STOCK
from star.utils.state_dicts import clean_name


@STOCK['FUNCTIONS'].register_module()
def wrap_by_class(
    module: nn.Module,
    recurse: bool,
    nonwrapped_numel: int,
    names: Sequence[str] = (),
) -> bool:
    """Return whether a module is a unit that is gathered when it is called.

    The submodules of a unit must not be called from outside of it. Frozen and
    trained parameters belong in different units, because gradients are kept
    for a whole unit or not at all.

    Args:
        module: of the model.
        recurse: True to ask whether to look into the module; always True.
        nonwrapped_numel: number of its parameters that are in no smaller
            unit; not used.
        names: names of the classes of the units.
    """
    return recurse or type(module).__name__ in names


def prepare_sharded(runner: Runner) -> None:
    """Make a run fit for a sharded model, if it has one.

    Gradients are then clipped by the norm over all ranks, and texts can be
    projected before a restoration.

    Args:
        runner: with the wrapped model and its optimiser wrapper.

    Raises:
        ValueError: the model would be trained otherwise than unsharded.
    """
    model = runner.model
    if is_sharded(model):
        _check_shared_out(model)
        wrapper = runner.cfg.get('optim_wrapper') or {}
        _check_keys(model, wrapper.get('paramwise_cfg') or {})
        clip_by_whole_norm(runner.optim_wrapper, model)
        for unit, _ in named_units(model):
            _gather_for_texts(unit)


def _gather_for_texts(unit: FullyShardedDataParallel) -> None:
    """Let a unit gather its parameters also when it projects texts.

    Samplers call `project_text` of backbone and ControlNet once for a clip;
    FSDP gathers only for `forward`, which calls the inner module's own.
    """
    project = getattr(unit.module, 'project_text', None)
    if project is None:
        return

    def gather_and_project(text: Tensor) -> Any:
        with unit.summon_full_params(unit, writeback=False):
            return project(text)

    unit.project_text = gather_and_project  # type: ignore[assignment]


def _check_shared_out(model: nn.Module) -> None:
    """Refuse parameters that no rank averages, or that cannot be saved."""
    for _, parameters in named_units(model):
        for name, parameter in parameters.items():
            if not parameter.requires_grad:
                continue
            if not getattr(parameter, '_fsdp_flattened', False):
                raise ValueError(
                    f'`ignored_modules` has {name}, which is trained: ranks '
                    'would not average its gradient; leave it out, or freeze '
                    'the part'
                )
            if parameter.dtype != torch.float32:
                raise ValueError(
                    f'a sharded model must be float32, {name} is '
                    f'{parameter.dtype}: use `optim_wrapper` of type '
                    'BFloat16OptimWrapper to compute in bfloat16'
                )


def _check_keys(model: nn.Module, settings: Mapping) -> None:
    """Refuse `custom_keys` that wrappers inside the names hide."""
    for name, _ in model.named_parameters():
        for key in settings.get('custom_keys') or {}:
            if (key in clean_name(name)) != (key in name):
                raise ValueError(
                    f'`paramwise_cfg.custom_keys` {key!r} means other '
                    f'parameters in a sharded model, where {clean_name(name)} '
                    f'is {name}: use a key that is in both or in neither'
                )
