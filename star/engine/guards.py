"""Guard against losses and gradients that are not finite."""

import math
from typing import Any

import torch
from mmengine import dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.optim import Optimizer

from star.engine.sharded_gradients import norm_before_clipping
from star.registry import HOOKS
from star.utils.checks import check_least


@HOOKS.register_module()
class NonFiniteGuardHook(Hook):
    """Skips steps with non-finite losses or gradients; stops after many.

    Before a step the optimiser calls this hook. If the loss of one rank or a
    gradient holds an infinity or NaN, all ranks drop their gradients, and the
    step changes neither parameters nor momentum. It works with any optimiser
    wrapper.

    Args:
        patience: the run stops after this many skipped steps in a row, >= 1.

    Raises:
        ValueError: `patience` is not positive.
    """

    priority = 'NORMAL'  # before the checkpoint is written

    def __init__(self, patience: int = 10) -> None:
        check_least('patience', patience, 1)
        self.patience = patience
        self.streak = 0
        self._good = True  # no bad loss since the last step
        self._suspicious = False  # a bad loss in this iteration
        self._names: list[str] = []  # of the samples since the last step
        self._suspects: list[str] = []  # of those with a bad loss
        self._skipped: bool | None = None  # the last step; None before it

    def before_train(self, runner: Runner) -> None:
        """Register hooks on the model's losses and the optimiser's steps."""
        runner.model.register_forward_hook(self._see_losses)
        self._wrapper = runner.optim_wrapper
        self._wrapper.optimizer.register_step_pre_hook(self._check)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Count the skipped steps in a row.

        Raises:
            RuntimeError: `patience` steps in a row were skipped.
        """
        names = [s.name or '(no name)' for s in data_batch['data_samples']]
        self._names += names
        if self._suspicious:
            self._suspects += names
            self._suspicious = False
        if not runner.optim_wrapper.should_update():
            return  # gradients are being accumulated
        # None: a gradient scaler has left out a bad step itself
        skipped = self._skipped is not False
        self.streak = self.streak + 1 if skipped else 0
        if skipped:
            self._report(runner)
        self._good, self._skipped = True, None
        self._names, self._suspects = [], []

    def _report(self, runner: Runner) -> None:
        gathered = dist.all_gather_object((self._suspects, self._names))
        names = [name for suspects, _ in gathered for name in suspects]
        if not names:  # the losses were finite, the gradient was not
            names = [name for _, all_names in gathered for name in all_names]
        message = (
            f'loss or gradient is not finite at iteration {runner.iter + 1}, '
            f'samples: {", ".join(names)}'
        )
        if self.streak >= self.patience:
            raise RuntimeError(
                f'{message}; the run stops after {self.streak} skipped steps '
                'in a row; its last checkpoint is from before them'
            )
        runner.logger.warning(f'{message}; the step is skipped')

    def _see_losses(self, model: Any, args: Any, outputs: Any) -> None:
        if model.training and isinstance(outputs, dict):
            losses = [outputs[key] for key in outputs if 'loss' in key]
            if not all(_is_finite(loss) for loss in losses):
                self._good, self._suspicious = False, True

    def _check(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        gradients = [
            p.grad
            for group in optimizer.param_groups
            for p in group['params']
            if p.grad is not None
        ]
        good = (self._are_finite(gradients) & self._good).float()
        dist.all_reduce(good, 'min')
        self._skipped = not bool(good)
        if self._skipped:
            optimizer.zero_grad(set_to_none=True)

    def _are_finite(self, gradients: list[Tensor]) -> Tensor:
        """Return whether all gradients are finite, a boolean scalar.

        A finite norm says so, and clipping has it. An infinite one may come
        from large finite numbers, so that each number is looked at.
        """
        norm = norm_before_clipping(self._wrapper) if gradients else None
        if norm is not None and math.isfinite(norm):
            return torch.ones((), dtype=torch.bool, device=gradients[0].device)
        return all_finite(gradients)


def all_finite(tensors: list[Tensor]) -> Tensor:
    """Return whether all values of all tensors are finite.

    Args:
        tensors: on one device.

    Returns:
        A boolean scalar on that device, without waiting for it.
    """
    if not tensors:
        return torch.tensor(True)
    finite = [torch.isfinite(t).all() for t in tensors]
    return torch.stack(finite).all()


def _is_finite(loss: Tensor | list[Tensor]) -> bool:
    losses = loss if isinstance(loss, list) else [loss]
    return bool(all_finite(losses))
