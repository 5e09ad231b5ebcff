"""What a run is watched by: gradient norm, speed and peak memory."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.hooks import Hook, IterTimerHook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from star.registry import HOOKS
from star.utils.memory import peak_memory, reset_peak_memory

_MIB = 2**20


@HOOKS.register_module()
class MonitorHook(Hook):
    """Logs what mmengine's own hooks leave out, of the rank that logs.

    Beside the losses, `lr`, `time` and `data_time` (seconds of an iteration,
    and those of them that it waited for data) the log gets

    - `iterations_per_second`, the mean of the last `window` iterations;
    - `grad_norm`, before clipping by norm, also where nothing is clipped;
    - `grad_norm_clipped`, what the optimizer got, where something is;
    - `peak_memory_mib`, of the training so far: allocated on a CUDA device,
      else resident in the process (Linux, macOS).

    Where the model is sharded, norms are of this rank's share.

    Args:
        window: iterations that the speed is averaged over.

    Raises:
        ValueError: `window` is less than 1.
    """

    priority = 'NORMAL'  # after the timer, before the logger

    def __init__(self, window: int = 20) -> None:
        if window < 1:
            raise ValueError(f'`window` must be at least 1, got {window}')
        self.window = window
        self._peak = 0
        self._handles: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Watch the gradients that the optimizers get."""
        wrapper = runner.optim_wrapper
        several = isinstance(wrapper, OptimWrapperDict)
        for part in wrapper.values() if several else [wrapper]:
            if isinstance(part.optimizer, Optimizer):
                record = _norm_recorder(part, runner.message_hub)
                handle = part.optimizer.register_step_pre_hook(record)
                self._handles.append(handle)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Record speed and memory."""
        hub = runner.message_hub
        if 'train/time' in hub.log_scalars:
            seconds = hub.get_scalar('train/time').mean(self.window)
            speed = 1 / max(seconds, 1e-9)  # a coarse clock may stand still
            hub.update_scalar('train/iterations_per_second', speed)
        self._peak = max(self._peak, peak_memory(_device(runner.model)))
        if self._peak:
            peak = self._peak / _MIB
            hub.update_scalar('train/peak_memory_mib', peak)

    def after_train(self, runner: Runner) -> None:
        """Let go of the optimizers."""
        while self._handles:
            self._handles.pop().remove()


@contextmanager
def unmonitored(runner: Runner) -> Iterator[None]:
    """Keep what happens inside out of the training's times and peak memory.

    Args:
        runner: its timer goes on as if no time had passed.
    """
    begin = time.time()
    try:
        yield
    finally:
        for hook in runner.hooks:
            if isinstance(hook, IterTimerHook) and hasattr(hook, 't'):
                hook.t += time.time() - begin
        reset_peak_memory(_device(runner.model))


def _norm_recorder(wrapper: Any, hub: Any) -> Callable[..., None]:
    """Make a hook that logs the norm of what an optimizer is about to use."""
    clipped = bool(wrapper.clip_grad_kwargs)
    name = 'grad_norm_clipped' if clipped else 'grad_norm'

    def record(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        groups = optimizer.param_groups
        params = (p for group in groups for p in group['params'])
        grads = [p.grad for p in params if p.grad is not None]
        if grads:
            hub.update_scalar(f'train/{name}', float(get_total_norm(grads)))

    return record


def _device(model: torch.nn.Module) -> torch.device:
    return next(model.parameters()).device
