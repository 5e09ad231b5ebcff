"""Classifier-free guidance and its rescale."""

import torch
from torch import Tensor


def guide(
    v_cond: Tensor, v_uncond: Tensor, scale: float, rescale: float
) -> Tensor:
    """Combine conditional and unconditional velocities.

    Args:
        v_cond: velocity with the prompt, (N, ...).
        v_uncond: velocity with the negative prompt, (N, ...).
        scale: guidance scale; 1 returns `v_cond` itself.
        rescale: share of the standard deviation that is brought back to that
            of `v_cond`, per sample over all its elements, [0, 1].

    Raises:
        ValueError: `rescale` is out of range.

    Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", Eq. 6;
    Lin et al., "Common Diffusion Noise Schedules", Eq. 15 and 16.
    """
    if not 0 <= rescale <= 1:
        raise ValueError(f'`rescale` must lie in [0, 1], got {rescale}')
    if scale == 1:
        return v_cond
    v = v_uncond + scale * (v_cond - v_uncond)
    if rescale == 0:
        return v
    # The floor keeps a constant v (a network at zero) from becoming NaN.
    ratio = _std(v_cond) / _std(v).clamp_min(1e-8)
    return v * (rescale * ratio + 1 - rescale).to(v.dtype)


def _std(x: Tensor) -> Tensor:
    """Standard deviation of each sample in at least float32, (N, 1, ...)."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return x.flatten(1).std(dim=1).reshape((-1,) + (1,) * (x.ndim - 1))
