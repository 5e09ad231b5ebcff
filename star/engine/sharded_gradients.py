"""Norm and clipping of gradients, also of those that ranks share out."""

import math
from collections.abc import Iterable
from functools import partial

from mmengine import dist
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from star.engine.sharded_state import is_sharded


def gradient_norm(
    model: nn.Module,
    parameters: Iterable[Tensor],
    norm_type: float = 2,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Return the norm of the gradients, over all ranks.

    Args:
        model: possibly sharded; then all ranks must call this.
        parameters: of the model, or this rank's shards of them.
        norm_type: p of the p-norm, > 0; may be infinite.
        error_if_nonfinite: raise if the norm is infinite or NaN.

    Raises:
        RuntimeError: the norm is not finite, and must be.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = get_total_norm(grads, norm_type).float()
    if _shares_out(model):
        if math.isinf(norm_type):
            dist.all_reduce(norm, 'max', model.process_group)
        else:
            norm = norm**norm_type
            dist.all_reduce(norm, 'sum', model.process_group)
            norm = norm ** (1 / norm_type)
    if error_if_nonfinite and not norm.isfinite():
        raise RuntimeError(f'the norm of the gradients is {float(norm)}')
    return norm


def norm_before_clipping(wrapper: OptimWrapper) -> float | None:
    """Return the norm by which this step's gradients were clipped.

    A wrapper measures it right before the optimiser's step, whose hooks need
    not pass over all gradients once more.

    Args:
        wrapper: with gradients; one of its parameters at least has some.

    Returns:
        The norm; None where it is not the 2-norm, or nothing is clipped.
    """
    settings = wrapper.clip_grad_kwargs or {}
    if 'max_norm' not in settings or settings.get('norm_type', 2) != 2:
        return None
    key = f'train/{wrapper.grad_name}'
    if key not in wrapper.message_hub.log_scalars:
        return None
    return float(wrapper.message_hub.get_scalar(key).current())


def norm_after_clipping(wrapper: OptimWrapper) -> float | None:
    """Return the norm that clipping has left, as `clip_grad_norm_` scales.

    Args:
        wrapper: as for `norm_before_clipping`, which says when it is None.
    """
    norm = norm_before_clipping(wrapper)
    if norm is None:
        return None
    most = float(wrapper.clip_grad_kwargs['max_norm'])
    return norm * min(1.0, most / (norm + 1e-6))


def clip_by_whole_norm(wrapper: OptimWrapper, model: nn.Module) -> None:
    """Let an optimiser wrapper clip shards by the norm over all ranks.

    mmengine gives only this rank's shards to `clip_grad_norm_`, and nothing
    where a rank has none. Clipping of single values needs no other rank.

    Args:
        wrapper: any that clips as `OptimWrapper` does; changed in place.
        model: sharded.
    """
    settings = wrapper.clip_grad_kwargs
    if settings and wrapper.grad_name == 'grad_norm':
        wrapper._clip_grad = partial(  # type: ignore[method-assign]
            _clip, wrapper, model, **settings
        )


def _clip(
    wrapper: OptimWrapper,
    model: nn.Module,
    max_norm: float,
    norm_type: float | str = 2,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> None:
    groups = wrapper.optimizer.param_groups
    parameters = [p for g in groups for p in g['params'] if p.grad is not None]
    norm = gradient_norm(
        model, parameters, float(norm_type), error_if_nonfinite
    )
    clip_grads_with_norm_(parameters, float(max_norm), norm, foreach)
    wrapper.message_hub.update_scalar('train/grad_norm', float(norm))


def _shares_out(model: nn.Module) -> bool:
    if not is_sharded(model):
        return False
    assert isinstance(model, FullyShardedDataParallel)
    return model.sharding_strategy != ShardingStrategy.NO_SHARD
