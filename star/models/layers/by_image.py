"""Layers that run on one image of a batch after the other."""

from collections.abc import Callable

from torch import Tensor


def each(layer: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
    """Run a layer for one image after the other, which takes less memory.

    Args:
        layer: called with (1, ...) of each of `inputs`.
        inputs: (N, ...) each.

    Returns:
        (N, ...).
    """
    if len(inputs[0]) == 1:
        return layer(*inputs)
    out = None
    for i, rows in enumerate(zip(*(x.split(1) for x in inputs), strict=True)):
        row = layer(*rows)
        if out is None:
            out = row.new_empty(len(inputs[0]), *row.shape[1:])
        out[i] = row[0]
    assert out is not None
    return out
