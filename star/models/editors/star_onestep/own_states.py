"""The states that a sampler of few steps meets, without a gradient."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from star.diffusion.samplers import ddim_step
from star.models.restoration.parts import ModelParts


@torch.no_grad()
def own_states(
    parts: ModelParts,
    timesteps: Sequence[float],
    start: Tensor,
    z_lq: Tensor,
    text: Tensor,
) -> list[Tensor]:
    """List the x_t at which each evaluation of DDIM begins, unguided.

    The last evaluation is not made. Weights that autocast casts here are not
    kept: without a gradient they would be used again where one is needed.

    Args:
        parts: of the model.
        timesteps: decreasing, fractions allowed.
        start: x_t at the first timestep, (N, C, T, h, w).
        z_lq: latents of the enlarged low-quality clips, like `start`.
        text: embeddings of the prompts, (N, L, D).

    Returns:
        One tensor like `start` for each timestep; the first is `start`.
    """
    schedule, states, kind = parts.schedule, [start], start.device.type
    with torch.autocast(
        kind,
        torch.get_autocast_dtype(kind),
        torch.is_autocast_enabled(kind),
        cache_enabled=False,
    ):
        for now, later in pairwise(timesteps):
            x_t = states[-1]
            t = torch.full((len(x_t),), round(now), device=x_t.device)
            v = parts.velocity(x_t, t, (text, text), z_lq, None)
            x0 = schedule.to_x0(x_t, v.float(), t)
            levels = schedule.at(now), schedule.at(later)
            states.append(ddim_step(x_t, x0, *levels))
    return states
