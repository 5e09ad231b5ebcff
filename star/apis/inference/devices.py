"""Where a model's networks restore, and in which number format."""

import torch
from torch import nn

from star.models.editors import Baseline

DTYPES = {
    'float32': torch.float32,
    'fp32': torch.float32,
    'bfloat16': torch.bfloat16,
    'bf16': torch.bfloat16,
    'float16': torch.float16,
    'fp16': torch.float16,
}


def find_device(device: str | torch.device | None = None) -> torch.device:
    """Return the device asked for, or the fastest kind there is.

    Raises:
        ValueError: there is no such device here.
    """
    if device is None:
        if torch.cuda.is_available():
            return torch.device('cuda')
        mps = torch.backends.mps.is_available()
        return torch.device('mps' if mps else 'cpu')
    try:
        place = torch.device(device)
        torch.empty(0, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f'`device` {str(device)!r} cannot be used: {reason}'
        ) from error
    return place


def find_dtype(
    dtype: str | torch.dtype | None, device: torch.device
) -> torch.dtype:
    """Return the number format asked for, or the one fit for a device.

    Raises:
        ValueError: unknown name.
    """
    if dtype is None:
        return torch.bfloat16 if device.type == 'cuda' else torch.float32
    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in DTYPES:
        raise ValueError(
            f'`dtype` must be one of {", ".join(DTYPES)}, got {dtype!r}'
        )
    return DTYPES[dtype]


def find_model_dtype(
    model: nn.Module, dtype: str | torch.dtype | None, device: torch.device
) -> torch.dtype:
    """Return the number format that a model's networks are to have.

    Args:
        model: what restores.
        dtype: what was asked for, or None: float32 for baselines, whose
            networks give pixels, of which bfloat16 tells hardly 256 apart;
            else as for `find_dtype`.
        device: where the model restores.

    Raises:
        ValueError: unknown name.
    """
    if dtype is None and isinstance(model, Baseline):
        return torch.float32
    return find_dtype(dtype, device)
