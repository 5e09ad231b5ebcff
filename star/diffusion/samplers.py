"""Diffusion samplers: plain loops of one signature, in variance-preserving
form, so that a start at zero signal-to-noise ratio needs no special case.

With rho = alpha / sigma and u = x / sigma the probability-flow ODE reads
du / drho = x0(u, rho): DDIM is its Euler, `sample_heun` its Heun method.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor

from star.diffusion.schedule import NoiseSchedule

Denoise = Callable[[Tensor, int], Tensor]
Noise = Callable[[int], Tensor]
Sampler = Callable[
    [Denoise, Tensor, Sequence[float], NoiseSchedule, Noise], Tensor
]

OFFICIAL_START = 899
# Official 'fast' mode: large steps to 500, then 11 of 501 / 11 of which the
# last is dropped.
_FAST_GRID = (
    *(899.0 - 100 * i for i in range(4)),
    *(500 - 501 / 11 * i for i in range(10)),
)
# Grid points nearer than this to an arbitrary start are left out: a tiny
# first step costs an evaluation and upsets the multistep extrapolation.
_FAST_MIN_GAP = 20


def fast_timesteps(start: int = OFFICIAL_START) -> list[float]:
    """List the timesteps of the official 'fast' mode.

    Args:
        start: first timestep, in [0, 999]. At 899 the list is the official
            one, 14 evaluations; else it is `start` followed by the official
            points that lie at least 20 below it.

    Returns:
        Decreasing timesteps. Some are fractional: the solver uses them as
        they are, the network gets them rounded.

    Raises:
        ValueError: `start` is out of range.
    """
    _check_start(start)
    rest = [t for t in _FAST_GRID if start - t >= _FAST_MIN_GAP]
    return [float(start), *rest]


def normal_timesteps(steps: int, start: int = OFFICIAL_START) -> list[float]:
    """List `steps` evenly spaced timesteps, the official 'normal' mode.

    Args:
        steps: number of evaluations, >= 1.
        start: first timestep, in [0, 999].

    Returns:
        Decreasing timesteps, the last one step above the end of the spacing.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_start(start)
    if steps < 1:
        raise ValueError(f'`steps` must be at least 1, got {steps}')
    return [start - i * (start + 1) / (steps + 1) for i in range(steps)]


def official_start(x: Tensor, schedule: NoiseSchedule, t: float) -> Tensor:
    """Scale x_T as the official code does on its way into the solver.

    It converts to variance-exploding form by sigma / alpha where 1 / alpha
    belongs: x_T shrinks by sigma, 0.9991 at t = 899. Only for reproduction.
    """
    return x * schedule.at(t)[1]


def sample_dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    timesteps: Sequence[float],
    schedule: NoiseSchedule,
    noise: Noise,
) -> Tensor:
    """Sample with DPM-Solver++(2M) SDE, midpoint, eta = 1.

    Args:
        denoise: (x_t, integer t) -> x0, guidance and chunking included.
        x: sample noised to timesteps[0], float32 or better.
        timesteps: decreasing, fractions allowed.
        schedule: noise schedule of the denoiser.
        noise: step i -> standard normal like x; called for every step but
            the last, in order.

    Returns:
        The denoised x0 of the last step.

    Raises:
        ValueError: `timesteps` are empty, not decreasing or out of range.

    Source: Lu et al., "DPM-Solver++", SDE-DPM-Solver++(2M), here with
    e^-2h = (sigma' alpha / (alpha' sigma))^2 written out.
    """
    levels = _levels(timesteps, schedule)
    x0_last, h_last = x, math.inf
    for i, t in enumerate(timesteps):
        x0 = denoise(x, round(t))
        if i == len(levels) - 1:
            break
        (alpha, sigma), (alpha_next, sigma_next) = levels[i : i + 2]
        decay = (sigma_next * alpha / (alpha_next * sigma)) ** 2
        h = -math.log(decay) / 2 if decay > 0 else math.inf
        # Zero in the first step and after one from zero SNR (h infinite).
        slope = 0.5 * h / h_last if h_last < math.inf else 0.0
        target = x0 + slope * (x0 - x0_last)
        x = (sigma_next / sigma) ** 2 * (alpha / alpha_next) * x
        x = x + alpha_next * (1 - decay) * target
        x = x + sigma_next * math.sqrt(1 - decay) * noise(i)
        x0_last, h_last = x0, h
    return x0


def sample_ddim(
    denoise: Denoise,
    x: Tensor,
    timesteps: Sequence[float],
    schedule: NoiseSchedule,
    noise: Noise,
) -> Tensor:
    """Sample with DDIM, eta = 0: first order, deterministic.

    Args:
        denoise: (x_t, integer t) -> x0, guidance and chunking included.
        x: sample noised to timesteps[0].
        timesteps: decreasing, fractions allowed.
        schedule: noise schedule of the denoiser.
        noise: unused, there to share the signature.

    Returns:
        The denoised x0 of the last step.

    Raises:
        ValueError: `timesteps` are empty, not decreasing or out of range.

    Source: Song et al., "Denoising Diffusion Implicit Models", Eq. 12.
    """
    levels = _levels(timesteps, schedule)
    for i, level in enumerate(levels[:-1]):
        x0 = denoise(x, round(timesteps[i]))
        x = _ddim_step(x, x0, level, levels[i + 1])
    return denoise(x, round(timesteps[-1]))


def sample_heun(
    denoise: Denoise,
    x: Tensor,
    timesteps: Sequence[float],
    schedule: NoiseSchedule,
    noise: Noise,
) -> Tensor:
    """Sample with Heun's method: second order, deterministic.

    Costs two evaluations a step but for the last, 2 n - 1 in all.

    Args:
        denoise: (x_t, integer t) -> x0, guidance and chunking included.
        x: sample noised to timesteps[0].
        timesteps: decreasing, fractions allowed.
        schedule: noise schedule of the denoiser.
        noise: unused, there to share the signature.

    Returns:
        The denoised x0 of the last step.

    Raises:
        ValueError: `timesteps` are empty, not decreasing or out of range.
    """
    levels = _levels(timesteps, schedule)
    for i in range(len(levels) - 1):
        x0 = denoise(x, round(timesteps[i]))
        x_next = _ddim_step(x, x0, levels[i], levels[i + 1])
        x0_next = denoise(x_next, round(timesteps[i + 1]))
        mean = (x0 + x0_next) / 2
        x = _ddim_step(x, mean, levels[i], levels[i + 1])
    return denoise(x, round(timesteps[-1]))


SAMPLERS: dict[str, Sampler] = {
    'dpmpp_2m_sde': sample_dpmpp_2m_sde,
    'ddim': sample_ddim,
    'heun': sample_heun,
}


def _ddim_step(
    x: Tensor,
    x0: Tensor,
    level: tuple[float, float],
    level_next: tuple[float, float],
) -> Tensor:
    """Move x along the ODE from (alpha, sigma) to the next, at constant x0."""
    keep = level_next[1] / level[1]
    return keep * x + (level_next[0] - keep * level[0]) * x0


def _levels(
    timesteps: Sequence[float], schedule: NoiseSchedule
) -> list[tuple[float, float]]:
    """Look up (alpha, sigma) of every timestep."""
    if len(timesteps) == 0:
        raise ValueError('`timesteps` must hold at least one, got none')
    if any(a <= b for a, b in pairwise(timesteps)):
        raise ValueError(f'`timesteps` must decrease, got {list(timesteps)}')
    return [schedule.at(t) for t in timesteps]


def _check_start(start: int) -> None:
    if not 0 <= start <= 999:
        raise ValueError(f'`start` must lie in [0, 999], got {start}')
