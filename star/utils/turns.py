"""Time calls in turn, so that whatever else a machine does slows all."""

import statistics
from collections.abc import Callable

import torch
from torch import Tensor

from star.utils.memory import measure_cost, peak_memory, reset_peak_memory


@torch.inference_mode()
def compare(
    calls: dict[str, Callable[[], Tensor]], repeat: int
) -> dict[str, dict[str, float]]:
    """Time calls in turn.

    Args:
        calls: by name, each gives a tensor.
        repeat: calls of each, after one that does not count.

    Returns:
        By name: `seconds`, the median; `fastest`; `bytes`, the median.
    """
    outputs = [call() for call in calls.values()]
    device = outputs[0].device
    del outputs
    costs: dict[str, list[tuple[float, int]]] = {name: [] for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            reset_peak_memory(device)
            before = peak_memory(device)
            with measure_cost(device) as cost:
                call()
            costs[name].append((cost.seconds, cost.peak_memory - before))
    return {
        name: {
            'seconds': statistics.median(seconds for seconds, _ in found),
            'fastest': min(seconds for seconds, _ in found),
            'bytes': statistics.median(size for _, size in found),
        }
        for name, found in costs.items()
    }
