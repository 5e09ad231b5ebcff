"""The states that a sampler of few steps meets, without a gradient."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from star.diffusion.samplers import ddim_step
from star.models.contracts import NoiseSchedule


@torch.no_grad()
def own_states(
    denoise: Callable[[Tensor, int], Tensor],
    start: Tensor,
    timesteps: Sequence[float],
    schedule: NoiseSchedule,
) -> list[Tensor]:
    """List the x_t at which each evaluation of DDIM begins.

    The last evaluation is not made. Weights that autocast casts here are not
    kept: without a gradient they would be used again where one is needed.

    Args:
        denoise: (x_t, integer t) -> x0.
        start: x_t at the first timestep, (N, C, T, h, w).
        timesteps: decreasing, fractions allowed.
        schedule: noise schedule of the denoiser.

    Returns:
        One tensor like `start` for each timestep; the first is `start`.
    """
    states, kind = [start], start.device.type
    with torch.autocast(
        kind,
        torch.get_autocast_dtype(kind),
        torch.is_autocast_enabled(kind),
        cache_enabled=False,
    ):
        for now, later in pairwise(timesteps):
            x0 = denoise(states[-1], round(now))
            levels = schedule.at(now), schedule.at(later)
            states.append(ddim_step(states[-1], x0, *levels))
    return states
