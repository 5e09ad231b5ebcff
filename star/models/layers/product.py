"""Products of tokens and weights: `F.linear`, on a CPU by oneDNN."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from star.models.layers.same_conv import takes_onednn

MAX_SWAPPED = 96  # tokens; see `product`
_VECTOR = 16  # float32 numbers in a register


class ProductLinear(nn.Linear):
    """A linear layer that computes as `product`."""

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens, (..., in_features) to (..., out_features)."""
        return product(x, self.weight, self.bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Compute x W^T + b like `F.linear`, but for rounding.

    On a CPU torch takes MKL, which reaches half of the processor's rate for
    few tokens; oneDNN reaches 0.8 to 0.95 of it. oneDNN copies one of both
    factors into its order at every call. For few tokens these trade places,
    so that it copies the tokens and not the weights.

    Args:
        x: tokens, (..., C).
        weight: (D, C).
        bias: (D,) or None.

    Returns:
        (..., D), contiguous.
    """
    known = takes_onednn(x) and takes_onednn(weight) and is_faster(x)
    if not (known and weight.is_contiguous()):
        return F.linear(x, weight, bias)
    x = x.contiguous()  # in another order oneDNN takes a hundred times as long
    tokens = x.shape[:-1].numel()
    if tokens > MAX_SWAPPED or tokens % _VECTOR:
        return _onednn(x, weight, bias)
    swapped = _onednn(weight, x.view(tokens, -1)).t()
    y = x.new_empty(tokens, len(weight))
    if bias is None:
        y.copy_(swapped)
    else:
        torch.add(swapped, bias, out=y)
    return y.view(*x.shape[:-1], -1)


def is_faster(x: Tensor) -> bool:
    """Return whether `product` of such tokens is faster than `F.linear`.

    It is measured on AVX512. It knows no gradient, and no tensors without
    content; torch's compiler has its own ways.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling():
        return False
    if torch.is_autocast_enabled('cpu') or not x.is_cpu:
        return False
    fast = torch.backends.cpu.get_cpu_capability() == 'AVX512'
    return fast and x.dtype == torch.float32


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, 'none', [], '')
