"""`OperationCounter`: counts multiplications and additions while work runs."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

_IMPLICIT = torch._C.DispatchKey.CompositeImplicitAutograd


def _count_attention(
    q: torch.Size, k: torch.Size, v: torch.Size, *_: Any, **__: Any
) -> int:
    return sdpa_flop_count(q, k, v)


# for torch's FlopCounterMode, which knows only the attention of GPUs
ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: (
        _count_attention
    )
}


class OperationCounter(TorchDispatchMode):
    """Counts the operations of the body as torch's FlopCounterMode does.

    A multiplication and an addition are two; matrix products, convolutions
    and attention count, also on tensors without content. It needs a fraction
    of FlopCounterMode's time, which follows every module and takes every
    linear layer apart.

    Attributes:
        total: operations so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch imports its compiler, which takes seconds

    @property
    def tflop(self) -> float:
        """Operations so far, in units of 10^12."""
        return self.total / 1e12

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        count = _COUNTS.get(func.overloadpacket)
        if count is None and _is_implicit(func):
            with self:  # what it is made of counts
                return func.decompose(*args, **kwargs)
        out = func(*args, **kwargs)
        if count is not None:
            self.total += count(*args, **kwargs, out_val=out)
        return out


def _is_implicit(func: Any) -> bool:
    """Return whether an operation is a composition of others."""
    found = _KNOWN.get(func)
    if found is None:
        # what asks for a device is not known to the dispatcher
        found = func.namespace != 'prim' and (
            torch._C._dispatch_has_kernel_for_dispatch_key(
                func.name(), _IMPLICIT
            )
        )
        _KNOWN[func] = found
    return found


def _count_linear(x: Any, weight: Any, *_: Any, **__: Any) -> int:
    return 2 * x.numel() * len(weight)


def _attended(q: Any, k: Any, v: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(q.shape, k.shape, v.shape)


_KNOWN: dict[Any, bool] = {}
_COUNTS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    **dict.fromkeys(ATTENTION, _attended),
    torch.ops.aten.linear: _count_linear,
}
if torch.backends.mkldnn.is_available():  # `product` calls oneDNN itself
    _COUNTS[torch.ops.mkldnn._linear_pointwise] = _count_linear
