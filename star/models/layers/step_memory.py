"""Features of a denoiser that serve several steps of a sampler."""

from typing import Any

import torch
from torch import Tensor


class StepMemory:
    """Keeps the deep features of a denoiser from step to step.

    One memory belongs to one tile of one window, with one text. The first
    layers always run; while what they give has changed little since the whole
    network ran, the deep features of that run are taken again (as in
    DeepCache, Ma et al. 2023, for a UNet, and first-block caching for a
    transformer). ControlNet and backbone of one call decide once.

    Args:
        threshold: largest mean absolute change of the first layers' features,
            over their mean absolute value, (0, 1].

    Attributes:
        reused: calls that took features again.
        calls: all calls.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.calls = self.reused = 0
        self._decision: bool | None = None
        self._first: Tensor | None = None
        self._deep: Tensor | None = None

    def begin(self) -> None:
        """Start a call: nothing is decided."""
        self.calls += 1
        self._decision = None

    @torch._disable_dynamo  # `torch.compiler.disable` loads it at once
    def decide(self, first: Tensor) -> bool:
        """Return whether this call takes the deep features again.

        Args:
            first: features of the first layers, of any shape; only those of
                the first network that asks in a call count.
        """
        if self._decision is None:
            self._decision = self._is_like(first)
            if not self._decision:
                self._first = first.cpu()
            self.reused += self._decision
        return self._decision

    @torch._disable_dynamo  # `torch.compiler.disable` loads it at once
    def keep(self, deep: Tensor) -> None:
        """Keep the features of a call that ran as a whole, on the CPU."""
        self._deep = deep.cpu()

    @torch._disable_dynamo  # `torch.compiler.disable` loads it at once
    def recall(self, like: Tensor) -> Tensor:
        """Return the features that were kept, on the device of `like`."""
        assert self._deep is not None, 'no call has run as a whole'
        return self._deep.to(like.device)

    def _is_like(self, first: Tensor) -> bool:
        if self._first is None or self._first.shape != first.shape:
            return False
        before = self._first.to(first.device).float()
        change = (first.float() - before).abs().mean() / before.abs().mean()
        return change.item() < self.threshold  # not for NaN


def keep_features(*networks: Any) -> bool:
    """Return whether all of some networks can use a `StepMemory`.

    Args:
        networks: those with an attribute `reuses_features` that is true can.
    """
    return all(getattr(n, 'reuses_features', False) for n in networks)
