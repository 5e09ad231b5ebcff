"""Diffusion samplers: plain loops with one signature.

They work in variance-preserving form, so a start at zero signal-to-noise
ratio needs no special case.

With rho = alpha / sigma and u = x / sigma the probability-flow ODE reads
du / drho = x0(u, rho): DDIM is its Euler, `sample_heun` its Heun method.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

from star.diffusion.schedule import Level, SamplerSchedule

Denoise = Callable[[Tensor, int], Tensor]
Noise = Callable[[int], Tensor]
Sampler = Callable[
    [Denoise, Tensor, Sequence[float], SamplerSchedule, Noise], Tensor
]


def official_start(x: Tensor, schedule: SamplerSchedule, t: float) -> Tensor:
    """Scale x_T by sigma, as the official code does by mistake.

    It converts to variance-exploding form with sigma / alpha where 1 / alpha
    belongs: x_T shrinks to 0.9991 of itself at t = 899. Use it only to
    reproduce official numbers.
    """
    return x * schedule.at(t)[1]


def sample_dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    timesteps: Sequence[float],
    schedule: SamplerSchedule,
    noise: Noise,
) -> Tensor:
    """Sample with DPM-Solver++(2M) SDE, midpoint, eta = 1.

    Args:
        denoise: (x_t, integer t) -> x0, with guidance and windows applied.
        x: sample noised to timesteps[0], float32 or better.
        timesteps: decreasing, fractions allowed.
        schedule: noise schedule of the denoiser.
        noise: step i -> standard normal noise like x; called in order for
            every step but the last.

    Returns:
        The denoised x0 of the last step.

    Raises:
        ValueError: `timesteps` are empty, not decreasing or out of range.

    Source: Lu et al., "DPM-Solver++", SDE-DPM-Solver++(2M), here with
    e^-2h = (sigma' alpha / (alpha' sigma))^2 written out.
    """
    levels = _levels(timesteps, schedule)
    return _dpmpp_2m_sde(denoise, x, timesteps, levels, noise)


def sample_cogvideox(
    denoise: Denoise,
    x: Tensor,
    timesteps: Sequence[float],
    schedule: SamplerSchedule,
    noise: Noise,
) -> Tensor:
    """Sample with DPM-Solver++(2M) SDE at the levels of CogVideoX's sampler.

    `CogVideoXSchedule.for_timesteps` describes how these levels differ from
    the table. With another schedule this equals `sample_dpmpp_2m_sde`.

    Args:
        denoise: (x_t, integer t) -> x0, with guidance and windows applied; its
            alpha and sigma are those of `schedule.for_timesteps(...)[1]`.
        x: pure noise, float32 or better.
        timesteps: decreasing whole numbers, as of `truncated_timesteps`.
        schedule: noise schedule of the denoiser.
        noise: step i -> standard normal noise like x; called in order for
            every step but the last. The official code discards one draw
            before each but the first; `noise` has to do the same.

    Returns:
        The denoised x0 of the last step.

    Raises:
        ValueError: `timesteps` are empty, not decreasing, out of range or
            not whole numbers.
    """
    _check_decreasing(timesteps)
    levels, _ = schedule.for_timesteps(timesteps)
    return _dpmpp_2m_sde(denoise, x, timesteps, levels, noise)


def _dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    timesteps: Sequence[float],
    levels: list[Level],
    noise: Noise,
) -> Tensor:
    """Run DPM-Solver++(2M) SDE along the given (alpha, sigma)."""
    x0_last, h_last = x, math.inf
    for i, t in enumerate(timesteps):
        x0 = denoise(x, round(t))
        if i == len(levels) - 1:
            break
        (alpha, sigma), (alpha_next, sigma_next) = levels[i : i + 2]
        decay = (sigma_next * alpha / (alpha_next * sigma)) ** 2
        h = -math.log(decay) / 2 if decay > 0 else math.inf
        # zero in the first step, and after a step from zero SNR (infinite h)
        slope = 0.5 * h / h_last if h_last < math.inf else 0.0
        # in place: latents of a segment are large
        target = (x0 - x0_last).mul_(slope).add_(x0)
        x0_last, h_last = x0, h
        x = (sigma_next / sigma) ** 2 * (alpha / alpha_next) * x
        x += target.mul_(alpha_next * (1 - decay))
        del target
        x += sigma_next * math.sqrt(1 - decay) * noise(i)
    return x0


def sample_ddim(
    denoise: Denoise,
    x: Tensor,
    timesteps: Sequence[float],
    schedule: SamplerSchedule,
    noise: Noise,
) -> Tensor:
    """Sample with DDIM, eta = 0: first order, deterministic.

    Args:
        denoise: (x_t, integer t) -> x0, with guidance and windows applied.
        x: sample noised to timesteps[0].
        timesteps: decreasing, fractions allowed.
        schedule: noise schedule of the denoiser.
        noise: unused; all samplers share one signature.

    Returns:
        The denoised x0 of the last step.

    Raises:
        ValueError: `timesteps` are empty, not decreasing or out of range.

    Source: Song et al., "Denoising Diffusion Implicit Models", Eq. 12.
    """
    levels = _levels(timesteps, schedule)
    for i, level in enumerate(levels[:-1]):
        x0 = denoise(x, round(timesteps[i]))
        x = ddim_step(x, x0, level, levels[i + 1])
    return denoise(x, round(timesteps[-1]))


def sample_heun(
    denoise: Denoise,
    x: Tensor,
    timesteps: Sequence[float],
    schedule: SamplerSchedule,
    noise: Noise,
) -> Tensor:
    """Sample with Heun's method: second order, deterministic.

    n timesteps cost 2 n - 1 evaluations.

    Args:
        denoise: (x_t, integer t) -> x0, with guidance and windows applied.
        x: sample noised to timesteps[0].
        timesteps: decreasing, fractions allowed.
        schedule: noise schedule of the denoiser.
        noise: unused; all samplers share one signature.

    Returns:
        The denoised x0 of the last step.

    Raises:
        ValueError: `timesteps` are empty, not decreasing or out of range.
    """
    levels = _levels(timesteps, schedule)
    for i in range(len(levels) - 1):
        x0 = denoise(x, round(timesteps[i]))
        x_next = ddim_step(x, x0, levels[i], levels[i + 1])
        x0_next = denoise(x_next, round(timesteps[i + 1]))
        mean = (x0 + x0_next) / 2
        x = ddim_step(x, mean, levels[i], levels[i + 1])
    return denoise(x, round(timesteps[-1]))


SAMPLERS: dict[str, Sampler] = {
    'dpmpp_2m_sde': sample_dpmpp_2m_sde,
    'ddim': sample_ddim,
    'heun': sample_heun,
    'cogvideox_dpmpp_2m': sample_cogvideox,
}


def ddim_step(
    x: Tensor,
    x0: Tensor,
    level: Level,
    level_next: Level,
) -> Tensor:
    """Move x along the ODE from (alpha, sigma) to the next, at constant x0.

    Args:
        x: noised samples of any shape.
        x0: their clean estimate, of the same shape.
        level: (alpha, sigma) of `x`; sigma above 0.
        level_next: (alpha, sigma) of the result.
    """
    keep = level_next[1] / level[1]
    moved = keep * x
    moved += (level_next[0] - keep * level[0]) * x0
    return moved


def _levels(
    timesteps: Sequence[float], schedule: SamplerSchedule
) -> list[Level]:
    """Look up (alpha, sigma) of every timestep."""
    _check_decreasing(timesteps)
    return [schedule.at(t) for t in timesteps]


def _check_decreasing(timesteps: Sequence[float]) -> None:
    if len(timesteps) == 0:
        raise ValueError('`timesteps` must hold at least one, got none')
    if any(a <= b for a, b in pairwise(timesteps)):
        raise ValueError(f'`timesteps` must decrease, got {list(timesteps)}')
