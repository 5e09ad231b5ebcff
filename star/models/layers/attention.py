"""The kernel of attention, chosen for all layers of a network."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

AUTO, SAGE = 'auto', 'sage'
_BACKENDS = {
    'math': SDPBackend.MATH,
    'flash': SDPBackend.FLASH_ATTENTION,
    'efficient': SDPBackend.EFFICIENT_ATTENTION,
    'cudnn': SDPBackend.CUDNN_ATTENTION,
}
ATTENTIONS = (AUTO, *_BACKENDS, SAGE)
_HEAD_DIM, _TOKENS = 64, 64  # of the kernel's trial


class AttentionLayer(nn.Module):
    """A layer whose attention runs on the kernel that a user chose.

    Attributes:
        kernel: a name of `ATTENTIONS`.
    """

    kernel: str = AUTO

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend without a mask: (N, heads, L, d) each, and the result."""
        return mix_tokens(q, k, v, self.kernel)


def mix_tokens(q: Tensor, k: Tensor, v: Tensor, kernel: str) -> Tensor:
    """Compute softmax(q k^T / sqrt(d)) v with a kernel.

    Args:
        q: queries, (N, heads, L, d).
        k: keys, (N, heads, M, d).
        v: values, (N, heads, M, d).
        kernel: 'auto' for torch's own choice, one of torch's by name, or
            'sage' for SageAttention, which rounds to 8 bits.

    Returns:
        (N, heads, L, d).
    """
    if kernel == AUTO:
        return F.scaled_dot_product_attention(q, k, v)
    if kernel == SAGE:
        return _sage()(q, k, v)
    with sdpa_kernel(_BACKENDS[kernel]):
        return F.scaled_dot_product_attention(q, k, v)


def choose_kernel(
    network: nn.Module, kernel: str, device: torch.device, dtype: torch.dtype
) -> None:
    """Let all attention of a network run on a kernel, after a trial.

    Args:
        network: changed in place.
        kernel: a name of `ATTENTIONS`.
        device: where the network runs.
        dtype: of its weights.

    Raises:
        ValueError: the kernel is unknown, or does not run here.
    """
    if kernel not in ATTENTIONS:
        raise ValueError(
            f'`attention` must be one of {", ".join(ATTENTIONS)}, got '
            f'{kernel!r}'
        )
    layers = [m for m in network.modules() if isinstance(m, AttentionLayer)]
    if layers and kernel != AUTO:
        _try(kernel, device, dtype)
    for layer in layers:
        layer.kernel = kernel


def _try(kernel: str, device: torch.device, dtype: torch.dtype) -> None:
    """Run a kernel once, on few tokens."""
    tokens = torch.zeros(1, 1, _TOKENS, _HEAD_DIM, device=device, dtype=dtype)
    try:
        mix_tokens(tokens, tokens, tokens, kernel)
    except (RuntimeError, NotImplementedError, AssertionError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        name = str(dtype).removeprefix('torch.')
        raise ValueError(
            f'`attention` {kernel!r} does not run on {device.type} in '
            f'{name}: {reason}'
        ) from error


def _sage() -> Callable[..., Any]:
    """Return SageAttention's function; its layout is ours."""
    try:
        return import_module('sageattention').sageattn
    except ImportError as error:
        raise ValueError(
            "`attention` 'sage' needs the package sageattention, which is not "
            'installed'
        ) from error
