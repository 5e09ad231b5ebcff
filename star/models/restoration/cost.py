"""Restore a test clip and write down what that took."""

import torch
from torch import Tensor

from star.models.contracts import Restorer
from star.models.restoration.options import RestoreOptions
from star.structures import VideoSample
from star.utils.memory import measured


def restore_sample(
    restorer: Restorer,
    lq: Tensor,
    options: RestoreOptions,
    sample: VideoSample,
) -> None:
    """Set a sample's `pred`, `seconds` and `peak_memory`.

    Args:
        restorer: one without weights works on the CPU.
        lq: low-quality clip, (T, 3, h, w) uint8 RGB.
        options: of the restoration.
        sample: the clip's.
    """
    weight = next(restorer.parameters(), torch.empty(0))
    with measured(weight.device) as cost:
        sample.pred = restorer.restore(lq, options)
    sample.seconds = cost.seconds
    sample.peak_memory = cost.peak_memory or None
