"""CogVideoX's noise schedule: scaled linear, with zero terminal SNR.

Lin et al., "Common Diffusion Noise Schedules", section 3.1; the shift is that
of Hoogeboom et al., "simple diffusion".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from star.diffusion.respaced import scaled_linear_product
from star.diffusion.schedule import Level, LevelTable, Schedule
from star.diffusion.timesteps import truncated_timesteps
from star.registry import MODELS
from star.utils.checks import check_least


def scaled_linear_alpha(
    num_timesteps: int, beta_start: float, beta_end: float, shift: float
) -> Tensor:
    """Compute alpha from betas whose square roots grow linearly.

    The product is computed in float64 and rounded once, as in the official
    code.

    Args:
        num_timesteps: length of the table.
        beta_start: first beta.
        beta_end: last beta.
        shift: alpha^2 becomes alpha^2 / (shift + (1 - shift) alpha^2), which
            divides the SNR by `shift`.

    Returns:
        Alpha, (num_timesteps,) float32 on the CPU, decreasing.
    """
    table = scaled_linear_product(num_timesteps, beta_start, beta_end)
    square = torch.from_numpy(table)
    square = square / (shift + (1 - shift) * square)
    return square.float().sqrt()


def rescale_to_zero_snr(alpha: Tensor) -> Tensor:
    """Rescale decreasing alphas: the first one stays, the last becomes 0."""
    first, last = alpha[0], alpha[-1]
    return (alpha - last) * (first / (first - last))


@dataclass(frozen=True)
class _VisitedLevels:
    """The (alpha, sigma) of the timesteps that a sampler visits."""

    levels: dict[float, Level]

    def at(self, t: float) -> Level:
        """Look up (alpha, sigma) at a visited timestep."""
        if t not in self.levels:
            raise ValueError(f'`t` must be a timestep of the sampler, got {t}')
        return self.levels[t]


@MODELS.register_module()
class CogVideoXSchedule(Schedule):
    """The noise schedule of CogVideoX and of STAR on CogVideoX.

    The official sampler uses two tables, see `for_timesteps`; everything
    else uses the table of all timesteps.

    Args:
        num_timesteps: number of training timesteps, >= 2.
        beta_start: first beta, > 0.
        beta_end: last beta, above the first and < 1.
        shift: divides the SNR, > 0; 1 for CogVideoX-5B and STAR, 3 for
            CogVideoX-2B.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        num_timesteps: int = 1000,
        beta_start: float = 0.00085,
        beta_end: float = 0.012,
        shift: float = 1.0,
    ) -> None:
        check_least('num_timesteps', num_timesteps, 2)
        if not 0 < beta_start < beta_end < 1:
            raise ValueError(
                '`beta_start` and `beta_end` must increase within (0, 1), got '
                f'{beta_start} and {beta_end}'
            )
        if shift <= 0:
            raise ValueError(f'`shift` must be positive, got {shift}')
        plain = scaled_linear_alpha(num_timesteps, beta_start, beta_end, shift)
        alpha = rescale_to_zero_snr(plain)
        super().__init__(alpha, (1 - alpha.double().square()).sqrt().float())
        self.start_timestep = num_timesteps - 1
        self._plain = plain  # not a buffer: it stays on the CPU

    def for_timesteps(
        self, timesteps: Sequence[float]
    ) -> tuple[list[Level], LevelTable]:
        """Look up (alpha, sigma) as the official sampler and denoiser do.

        The sampler rescales the alphas of its own timesteps to zero terminal
        SNR; the denoiser takes the nearest value from the table of all
        timesteps. A sampler that starts below the last timestep must not
        start at zero SNR, so it uses the table of all timesteps too.

        Args:
            timesteps: decreasing whole numbers, all that the sampler visits.

        Raises:
            ValueError: a timestep is out of range or not a whole number.
        """
        for t in timesteps:
            if t != int(t):
                raise ValueError(f'`timesteps` must be whole numbers, got {t}')
        if timesteps[0] != self.start_timestep or len(timesteps) == 1:
            return super().for_timesteps(timesteps)
        index = [int(t) for t in reversed(timesteps)]
        alphas = rescale_to_zero_snr(self._plain[index]).flip(0)
        levels = [_level(alpha) for alpha in alphas.tolist()]
        table = self.alpha.cpu()
        nearest = (table - alphas[:, None]).abs().argmin(dim=1)
        seen = [self.at(int(i)) for i in nearest]
        return levels, _VisitedLevels(dict(zip(timesteps, seen, strict=True)))

    def list_timesteps(
        self, mode: str, steps: int, strength: float
    ) -> list[float]:
        """List the timesteps that a restoration visits.

        Args:
            mode: 'normal'; the list 'fast' belongs to I2VGen-XL.
            steps: number of evaluations, at most one per timestep.
            strength: first timestep divided by the last one, (0, 1].

        Returns:
            Decreasing whole timesteps.

        Raises:
            ValueError: another `mode`.
        """
        if mode != 'normal':
            raise ValueError(
                f"`mode` must be 'normal' with CogVideoX, got {mode!r}"
            )
        start = round(self.start_timestep * strength)
        return truncated_timesteps(min(steps, max(start, 1)), start)


def _level(alpha: float) -> Level:
    return alpha, math.sqrt(1 - alpha**2)
