"""Logging of gradient norm, speed and peak memory."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.device import is_cuda_available
from mmengine.hooks import Hook, IterTimerHook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner
from torch.optim import Optimizer

from star.engine.sharded_gradients import (
    gradient_norm,
    norm_after_clipping,
)
from star.engine.sharded_state import is_sharded
from star.registry import HOOKS
from star.utils.checks import check_least
from star.utils.memory import peak_memory, reset_peak_memory

_MIB = 2**20


@HOOKS.register_module()
class MonitorHook(Hook):
    """Logs speed, gradient norm and memory of the rank that logs.

    mmengine's own hooks log the losses, `lr`, `time` (seconds of an
    iteration) and `data_time` (seconds of waiting for data). This hook adds

    - `iterations_per_second`, the mean over the last `window` iterations;
    - `grad_norm`, before clipping, also if nothing is clipped;
    - `grad_norm_clipped`, after clipping, only if gradients are clipped;
    - `memory`, where there is no GPU: the peak of the process in MiB since
      the start of the training (Linux, macOS). On a GPU it is mmengine's,
      the peak since the last line of the log.

    Norms are those of the whole model, also if it is sharded.

    Args:
        window: number of iterations to average the speed over.

    Raises:
        ValueError: `window` is less than 1.
    """

    priority = 'NORMAL'  # after the timer, before the logger

    def __init__(self, window: int = 20) -> None:
        check_least('window', window, 1)
        self.window = window
        self._peak = 0
        self._handles: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Register hooks on the steps of the optimizers."""
        wrapper = runner.optim_wrapper
        several = isinstance(wrapper, OptimWrapperDict)
        for part in wrapper.values() if several else [wrapper]:
            if isinstance(part.optimizer, Optimizer):
                record = _norm_recorder(runner, part)
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
            speed = 1 / max(seconds, 1e-9)  # 0 on a coarse clock
            hub.update_scalar('train/iterations_per_second', speed)
        if not is_cuda_available():
            self._peak = max(self._peak, peak_memory(_device(runner.model)))
            if self._peak:  # else unknown
                hub.update_scalar('train/memory', self._peak // _MIB)

    def after_train(self, runner: Runner) -> None:
        """Remove the hooks from the optimizers."""
        while self._handles:
            self._handles.pop().remove()


@contextmanager
def unmonitored(runner: Runner) -> Iterator[None]:
    """Exclude the body from the training's times and peak memory.

    Args:
        runner: its timer continues as if no time had passed.
    """
    begin = time.time()
    try:
        yield
    finally:
        for hook in runner.hooks:
            if isinstance(hook, IterTimerHook) and hasattr(hook, 't'):
                hook.t += time.time() - begin
        reset_peak_memory(_device(runner.model))


def _norm_recorder(
    runner: Runner, wrapper: OptimWrapper
) -> Callable[..., None]:
    """Make a hook that logs the norm of the gradients before a step."""
    clipped = bool(wrapper.clip_grad_kwargs)
    name = 'grad_norm_clipped' if clipped else 'grad_norm'
    hub = runner.message_hub

    def record(optimizer: Optimizer, args: tuple, kwargs: dict) -> None:
        groups = optimizer.param_groups
        params = [p for group in groups for p in group['params']]
        given = any(p.grad is not None for p in params)
        if given or is_sharded(runner.model):  # then all ranks take part
            norm = norm_after_clipping(wrapper)
            if norm is None:
                norm = float(gradient_norm(runner.model, params))
            hub.update_scalar(f'train/{name}', norm)

    return record


def _device(model: torch.nn.Module) -> torch.device:
    return next(model.parameters()).device
