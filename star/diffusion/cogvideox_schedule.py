"""CogVideoX's noise schedule: scaled linear, with zero terminal SNR.

Lin et al., "Common Diffusion Noise Schedules", section 3.1; the shift is that
of Hoogeboom et al., "simple diffusion".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from star.diffusion.schedule import Level, Levels, Schedule
from star.diffusion.timesteps import truncated_timesteps
from star.registry import MODELS


def scaled_linear_alpha(
    num_timesteps: int, beta_start: float, beta_end: float, shift: float
) -> Tensor:
    """Compute alpha of betas whose roots grow linearly, before any rescale.

    The product is taken in float64 and rounded once, as the official code
    does.

    Args:
        num_timesteps: length of the table.
        beta_start: first beta.
        beta_end: last beta.
        shift: alpha^2 becomes alpha^2 / (shift + (1 - shift) alpha^2), which
            divides the SNR by `shift`.

    Returns:
        Alpha, (num_timesteps,) float32 on the CPU, decreasing.
    """
    roots = torch.linspace(
        math.sqrt(beta_start),
        math.sqrt(beta_end),
        num_timesteps,
        dtype=torch.float64,
        device='cpu',
    )
    square = torch.cumprod(1 - roots.square(), dim=0)
    square = square / (shift + (1 - shift) * square)
    return square.float().sqrt()


def rescale_to_zero_snr(alpha: Tensor) -> Tensor:
    """Stretch decreasing alphas so that the first stays and the last is 0."""
    first, last = alpha[0], alpha[-1]
    return (alpha - last) * (first / (first - last))


@dataclass(frozen=True)
class _Visited:
    """The levels of a few timesteps."""

    levels: dict[float, Level]

    def at(self, t: float) -> Level:
        """Look up (alpha, sigma) at a visited timestep."""
        if t not in self.levels:
            raise ValueError(f'`t` must be a timestep of the sampler, got {t}')
        return self.levels[t]


@MODELS.register_module()
class CogVideoXSchedule(Schedule):
    """The schedule of CogVideoX, and of STAR on it.

    The official sampler has two tables, see `for_timesteps`; all else uses
    the one of all timesteps.

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
        if num_timesteps < 2:
            raise ValueError(
                f'`num_timesteps` must be at least 2, got {num_timesteps}'
            )
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
        self._plain = plain  # no buffer: it stays on the CPU

    def for_timesteps(
        self, timesteps: Sequence[float]
    ) -> tuple[list[Level], Levels]:
        """Look up what the official sampler and its denoiser use.

        The sampler rescales the alphas of its own timesteps to zero terminal
        SNR; the denoiser takes the nearest value of the table of all
        timesteps. A sampler that does not begin at the last timestep must
        not begin at zero SNR: it uses that table itself.

        Args:
            timesteps: decreasing whole numbers, all that are visited.

        Raises:
            ValueError: a timestep is out of range or no whole number.
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
        return levels, _Visited(dict(zip(timesteps, seen, strict=True)))

    def list_timesteps(
        self, mode: str, steps: int, strength: float
    ) -> list[float]:
        """List the timesteps of a restoration.

        Args:
            mode: 'normal'; the other list, 'fast', is I2VGen-XL's.
            steps: evaluations, cut to one per timestep.
            strength: the first timestep's share of the last one, (0, 1].

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
