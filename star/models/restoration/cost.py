"""Restore a test clip and write down what that took."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

from star.models.restoration.options import RestoreOptions
from star.structures import VideoSample
from star.utils.memory import measured


class Restorer(Protocol):
    """A model that restores: STARModel and the baselines."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the weights."""

    def restore(self, lq: Tensor, options: RestoreOptions) -> Tensor:
        """Restore a clip."""


def restore_sample(
    model: Restorer, lq: Tensor, options: RestoreOptions, sample: VideoSample
) -> None:
    """Set a sample's `pred`, `seconds` and `peak_memory`.

    Args:
        model: what restores; without weights it works on the CPU.
        lq: low-quality clip, (T, 3, h, w) uint8 RGB.
        options: for `model.restore`.
        sample: the clip's.
    """
    weight = next(model.parameters(), torch.empty(0))
    with measured(weight.device) as cost:
        sample.pred = model.restore(lq, options)
    sample.seconds = cost.seconds
    sample.peak_memory = cost.peak_memory or None
