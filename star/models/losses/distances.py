"""Distances between two batches of tensors, one number for each clip."""

from collections.abc import Callable

from torch import Tensor

_HUBER = 0.00054  # times the root of the number of values, as iCT has it


def absolute(pred: Tensor, target: Tensor) -> Tensor:
    """Average the absolute difference over each clip, (N, ...) to (N,)."""
    return (pred - target).abs().flatten(1).mean(1)


def squared(pred: Tensor, target: Tensor) -> Tensor:
    """Average the squared difference over each clip, (N, ...) to (N,)."""
    return (pred - target).square().flatten(1).mean(1)


def pseudo_huber(pred: Tensor, target: Tensor) -> Tensor:
    """Compare clips quadratically near zero and linearly far from it.

    With d values and c = 0.00054 sqrt(d): (sqrt(|x|^2 + c^2) - c) / sqrt(d).

    Args:
        pred: (N, ...).
        target: of the same shape.

    Returns:
        (N,).

    Source: Song and Dhariwal, "Improved Techniques for Training Consistency
    Models", section 3.3, divided by sqrt(d) so that sizes compare.
    """
    mean = squared(pred, target)
    return (mean + _HUBER**2).sqrt() - _HUBER


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'l1': absolute,
    'l2': squared,
    'huber': pseudo_huber,
}
