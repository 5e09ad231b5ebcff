"""Devices and dtypes of networks."""

import torch

from star.models.contracts import Restorer

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
    if dtype not in DTYPES:
        raise ValueError(
            f'`dtype` must be one of {", ".join(DTYPES)}, got {dtype!r}'
        )
    return DTYPES[dtype]


def find_model_dtype(
    restorer: Restorer, dtype: str | torch.dtype | None, device: torch.device
) -> torch.dtype:
    """Return the dtype of a restorer's networks.

    Args:
        restorer: whose `default_dtype` counts where `dtype` is None.
        dtype: a name in `DTYPES`; None for the default.
        device: where the networks run.

    Raises:
        ValueError: unknown name.
    """
    return find_dtype(dtype or restorer.default_dtype, device)
