"""Classifier-free guidance: combination, rescale, and scale over time."""

import math

import torch
from torch import Tensor

from star.utils.checks import check_least, check_share


def guide(
    v_cond: Tensor, v_uncond: Tensor, scale: float, rescale: float
) -> Tensor:
    """Combine conditional and unconditional velocities.

    Args:
        v_cond: velocity with the prompt, (N, ...).
        v_uncond: velocity with the negative prompt, (N, ...).
        scale: guidance scale; 1 returns `v_cond` itself.
        rescale: how far the standard deviation of each sample is moved back
            to that of `v_cond`, from 0 (not at all) to 1 (equal).

    Raises:
        ValueError: `rescale` is out of range.

    Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", Eq. 6;
    Lin et al., "Common Diffusion Noise Schedules", Eq. 15 and 16.
    """
    check_share('rescale', rescale)
    if scale == 1:
        return v_cond
    v = v_uncond + scale * (v_cond - v_uncond)
    if rescale == 0:
        return v
    # the floor avoids NaN where v is constant, as a network at zero gives
    ratio = _std(v_cond) / _std(v).clamp_min(1e-8)
    return v * (rescale * ratio + 1 - rescale).to(v.dtype)


def dynamic_guidance(
    t: float, num_steps: int, scale: float = 6.0, exponent: int = 5
) -> float:
    """Compute CogVideoX's guidance scale at a timestep.

    1 + scale (1 - cos(pi ((n - t) / n)^exponent)) / 2, with n steps. This is
    a half cosine from 1 to 1 + scale only for t in [0, n]. The official code
    passes the timestep where the index of the step belongs, so the scale
    oscillates from step to step; the models are used with these values.
    It needs float64: with few steps the argument of the cosine reaches 1e11.

    Args:
        t: timestep, 0 to 999.
        num_steps: number of sampler steps, n >= 1.
        scale: how far the scale rises above 1.
        exponent: whole number >= 1, since the base may be negative.

    Raises:
        ValueError: `num_steps` or `exponent` is out of range.
    """
    check_least('num_steps', num_steps, 1)
    if exponent < 1 or exponent != int(exponent):
        raise ValueError(
            f'`exponent` must be a whole number >= 1, got {exponent}'
        )
    angle = math.pi * ((num_steps - t) / num_steps) ** int(exponent)
    return 1 + scale * (1 - math.cos(angle)) / 2


def _std(x: Tensor) -> Tensor:
    """Compute each sample's deviation in at least float32, (N, 1, ...)."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    return x.flatten(1).std(dim=1).reshape((-1,) + (1,) * (x.ndim - 1))
