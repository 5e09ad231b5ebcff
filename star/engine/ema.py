"""Moving average of the trained parameters."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn

from star.engine.run_state import trained_parameters
from star.engine.sharded_state import free_gathered, gather, is_sharded
from star.registry import HOOKS
from star.utils.state_dicts import find_misfits


@HOOKS.register_module()
class TrainedEMAHook(Hook):
    """Averages the trained parameters in float32; validation uses the average.

    mmengine's own hook copies the whole model, including frozen parts. The
    weight of the old average rises to `decay` as (1 + n) / (10 + n) over the
    iterations n, so that the initial weights soon count little.

    Args:
        decay: final weight of the old average, in [0, 1).
        begin: iterations before averaging starts.

    Raises:
        ValueError: `decay` or `begin` out of range.
    """

    priority = 'NORMAL'

    def __init__(self, decay: float = 0.9998, begin: int = 0) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f'`decay` must be in [0, 1), got {decay}')
        if begin < 0:
            raise ValueError(f'`begin` must not be negative, got {begin}')
        self.decay = decay
        self.begin = begin
        self.averages: dict[str, Tensor] = {}
        self._own: dict[str, Tensor] = {}

    @torch.no_grad()
    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Update the average with the new weights."""
        n = runner.iter - self.begin
        if n < 0:
            return
        parameters = trained_parameters(runner.model)
        if not self.averages:
            self.load(runner.model, parameters)
        weight = 1 - min(self.decay, (1 + n) / (10 + n))
        own = [parameter.float() for parameter in parameters.values()]
        averages = [self.averages[name] for name in parameters]
        torch._foreach_lerp_(averages, own, weight)

    def load(self, model: nn.Module, averages: Mapping[str, Tensor]) -> None:
        """Copy averages by name to the model's device.

        Raises:
            ValueError: the names are not those of the trained parameters.
        """
        parameters = trained_parameters(model)
        misfits = find_misfits(parameters, averages)
        if misfits:
            raise ValueError(f'averaged weights do not fit: {misfits}')
        self.averages = {
            name: averages[name]
            .detach()
            .to(p.device, torch.float32, copy=True)
            for name, p in parameters.items()
        }

    @torch.no_grad()
    def before_val_epoch(self, runner: Runner) -> None:
        """Replace the weights by the average, if averaging has begun."""
        free_gathered(runner.model)
        parameters = trained_parameters(runner.model)
        for name, average in self.averages.items():
            self._own[name] = parameters[name].detach().clone()
            parameters[name].copy_(average)

    @torch.no_grad()
    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Restore the weights."""
        free_gathered(runner.model)
        parameters = trained_parameters(runner.model)
        for name, own in self._own.items():
            parameters[name].copy_(own)
        self._own = {}


def find_ema(runner: Runner) -> TrainedEMAHook | None:
    """Return the run's averaging hook, or None."""
    hooks = (h for h in runner.hooks if isinstance(h, TrainedEMAHook))
    return next(hooks, None)


def gather_averages(runner: Runner) -> dict[str, Tensor] | None:
    """Return the averaged weights by name, or None before averaging.

    If the model is sharded, all ranks must call this, and rank 0 alone gets
    tensors.
    """
    ema = find_ema(runner)
    if ema is None or not ema.averages:
        return None
    if is_sharded(runner.model):
        return gather(runner.model, ema.averages.keys(), ema.averages)
    return ema.averages
