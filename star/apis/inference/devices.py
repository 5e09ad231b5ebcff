"""Devices and dtypes of networks."""

from collections import Counter

import torch
from torch import nn

from star.models.contracts import Restorer
from star.utils.checks import check_choice

LARGE = 100_000_000  # weights; see `find_model_dtype`
DTYPES = {
    'float32': torch.float32,
    'fp32': torch.float32,
    'bfloat16': torch.bfloat16,
    'bf16': torch.bfloat16,
    'float16': torch.float16,
    'fp16': torch.float16,
}


def find_device(device: str | torch.device | None = None) -> torch.device:
    """Return a device; without a name, the fastest kind that is there.

    Raises:
        ValueError: there is no such device here.
    """
    if device is None:
        if torch.cuda.is_available():
            return torch.device('cuda')
        mps = torch.backends.mps.is_available()
        return torch.device('mps' if mps else 'cpu')
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f'`device` {str(device)!r} cannot be used: {reason}'
        ) from error
    return found


def find_dtype(
    dtype: str | torch.dtype | None, device: torch.device
) -> torch.dtype:
    """Return a dtype; without a name, the one that suits a device.

    Raises:
        ValueError: unknown name.
    """
    if dtype is None:
        return torch.bfloat16 if device.type == 'cuda' else torch.float32
    if isinstance(dtype, torch.dtype):
        return dtype
    check_choice('dtype', dtype, DTYPES)
    return DTYPES[dtype]


def computes_bfloat16() -> bool:
    """Return whether this processor has instructions for bfloat16.

    AVX512-BF16 or AMX on x86. Others compute it in float32, slower than
    float32 itself.
    """
    known: dict[str, object] = getattr(torch.cpu, 'get_capabilities', dict)()
    return bool(known.get('avx512_bf16') or known.get('amx_bf16'))


def find_model_dtype(
    restorer: Restorer, dtype: str | torch.dtype | None, device: torch.device
) -> torch.dtype:
    """Return the dtype of a restorer's networks.

    Args:
        restorer: whose `default_dtype` counts where `dtype` is None. One that
            is `bfloat16_on_cpu` takes bfloat16 where the processor has it,
            and so does one with `LARGE` weights or more.
        dtype: a name in `DTYPES`; None for the default.
        device: where the networks run.

    Raises:
        ValueError: unknown name.
    """
    chosen = dtype or restorer.default_dtype
    if chosen is not None or device.type != 'cpu':
        return find_dtype(chosen, device)
    count = sum(p.numel() for p in restorer.parameters())
    suits = restorer.bfloat16_on_cpu or count >= LARGE
    return torch.bfloat16 if suits and computes_bfloat16() else torch.float32


def dtype_of(network: nn.Module | Restorer) -> torch.dtype | None:
    """Return the dtype that most weights have; None without weights."""
    counts: Counter[torch.dtype] = Counter()
    for weight in network.parameters():
        counts[weight.dtype] += weight.numel()
    return counts.most_common(1)[0][0] if counts else None
