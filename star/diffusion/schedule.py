"""The noise schedules: the one place that knows alpha and sigma.

`NoiseSchedule` is I2VGen-XL's: cosine log-SNR, shifted for resolution by a
scale that is itself interpolated over time, with zero terminal SNR; velocity
prediction.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from star.diffusion.timesteps import (
    OFFICIAL_START,
    fast_timesteps,
    normal_timesteps,
)
from star.registry import MODELS

Level = tuple[float, float]  # alpha and sigma


class Levels(Protocol):
    """What a denoiser asks for the levels of its timestep."""

    def at(self, t: float) -> Level:
        """Look up (alpha, sigma) at a timestep."""


class Schedule(nn.Module):
    """Variance-preserving schedule: x_t = alpha_t x0 + sigma_t noise.

    The buffers `alpha` and `sigma`, (num_timesteps,), are no part of the
    state dict and stay float32 when the module is cast. Results have the
    dtype of their first argument and are computed in at least float32.

    Args:
        alpha: (num_timesteps,) float32, decreasing.
        sigma: likewise, increasing; alpha^2 + sigma^2 = 1.
    """

    alpha: Tensor
    sigma: Tensor

    def __init__(self, alpha: Tensor, sigma: Tensor) -> None:
        super().__init__()
        self.num_timesteps = len(alpha)
        self.register_buffer('sigma', sigma, persistent=False)
        self.register_buffer('alpha', alpha, persistent=False)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> 'Schedule':
        # Follow the module to its device, but never to a lower precision.
        alpha, sigma = self.alpha, self.sigma
        super()._apply(fn, recurse)
        self.alpha = alpha.to(self.alpha.device)
        self.sigma = sigma.to(self.sigma.device)
        return self

    def at(self, t: float) -> Level:
        """Look up (alpha, sigma) at a possibly fractional timestep.

        Between timesteps, log(sigma / alpha) is linear in t.

        Args:
            t: timestep in [0, num_timesteps - 1].

        Raises:
            ValueError: `t` is out of range.
        """
        if not 0 <= t <= self.num_timesteps - 1:
            raise ValueError(
                f'`t` must lie in [0, {self.num_timesteps - 1}], got {t}'
            )
        low = int(t)
        if low == t:
            return self.alpha[low].item(), self.sigma[low].item()
        alphas, sigmas = (
            x[low : low + 2].double().tolist()
            for x in (self.alpha, self.sigma)
        )
        if alphas[1] == 0:  # an infinite ratio: interpolate alpha instead
            alpha = alphas[0] * (low + 1 - t)
            return alpha, math.sqrt(1 - alpha**2)
        ratios = [s / a for s, a in zip(sigmas, alphas, strict=True)]
        ratio = ratios[0] * (ratios[1] / ratios[0]) ** (t - low)
        return 1 / math.hypot(1, ratio), ratio / math.hypot(1, ratio)

    def for_timesteps(
        self, timesteps: Sequence[float]
    ) -> tuple[list[Level], Levels]:
        """Look up what a sampler and its denoiser use at some timesteps.

        Args:
            timesteps: decreasing, all that the sampler will visit.

        Returns:
            The sampler's (alpha, sigma) of each timestep, and where the
            denoiser looks up its own. Both are the same here.
        """
        return [self.at(t) for t in timesteps], self

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Noise clean samples to timestep t.

        Args:
            x0: clean samples, (N, ...).
            noise: standard normal, (N, ...).
            t: timesteps, (N,) int64.
        """
        alpha, sigma = self._coefficients(x0, t)
        return (alpha * x0 + sigma * noise).to(x0.dtype)

    def velocity(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Compute the velocity alpha noise - sigma x0, (N, ...).

        Source: Salimans and Ho, "Progressive Distillation", Eq. 9 ff.
        """
        alpha, sigma = self._coefficients(x0, t)
        return (alpha * noise - sigma * x0).to(x0.dtype)

    def to_x0(self, x_t: Tensor, v: Tensor, t: Tensor) -> Tensor:
        """Recover the clean sample, without a division: alpha x_t - sigma v.

        Args:
            x_t: noised samples, (N, ...).
            v: their velocity, (N, ...).
            t: timesteps, (N,) int64.
        """
        alpha, sigma = self._coefficients(x_t, t)
        return (alpha * x_t - sigma * v).to(x_t.dtype)

    def to_noise(self, x_t: Tensor, v: Tensor, t: Tensor) -> Tensor:
        """Recover the noise, without a division: sigma x_t + alpha v."""
        alpha, sigma = self._coefficients(x_t, t)
        return (sigma * x_t + alpha * v).to(x_t.dtype)

    def _coefficients(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1,) + (1,) * (x.ndim - 1)
        alpha = self.alpha[t].to(x.device).reshape(shape)
        sigma = self.sigma[t].to(x.device).reshape(shape)
        return alpha, sigma


def logsnr_cosine_interp(
    num_timesteps: int,
    scale_min: float,
    scale_max: float,
    logsnr_min: float,
    logsnr_max: float,
) -> Tensor:
    """Compute sigma of the interpolated cosine log-SNR schedule.

    In float32 on the CPU, as the released weights were trained: where sigma
    is nearly 1 its rounding decides alpha, and a float64 computation would
    move alpha by up to 3e-5 there.

    Returns:
        Sigma, (num_timesteps,) float32, increasing to exactly 1.

    Source: Hoogeboom et al., "simple diffusion", Eq. 4 and section 3.1; zero
    terminal SNR: Lin et al., "Common Diffusion Noise Schedules".
    """
    u = torch.linspace(0, 1, num_timesteps, dtype=torch.float32, device='cpu')
    angle_min = math.atan(math.exp(-logsnr_max / 2))
    angle_max = math.atan(math.exp(-logsnr_min / 2))
    cosine = -2 * torch.log(torch.tan(angle_min + u * (angle_max - angle_min)))
    low, high = (cosine - 2 * math.log(s) for s in (scale_min, scale_max))
    sigma = torch.sqrt(torch.sigmoid(-(u * high + (1 - u) * low)))
    first, last = sigma[0].item(), sigma[-1].item()
    return first + (sigma - first) * ((1 - first) / (last - first))


@MODELS.register_module()
class NoiseSchedule(Schedule):
    """The schedule of STAR on I2VGen-XL, see `logsnr_cosine_interp`.

    Args:
        num_timesteps: number of training timesteps, >= 2.
        scale_min: log-SNR shift at t = 0, as a resolution scale, > 0.
        scale_max: the same at the last timestep, > 0.
        logsnr_min: log-SNR before the shift at the last timestep.
        logsnr_max: log-SNR before the shift at t = 0, > logsnr_min.

    Raises:
        ValueError: an argument is out of range.
    """

    start_timestep = OFFICIAL_START  # where a restoration begins

    def __init__(
        self,
        num_timesteps: int = 1000,
        scale_min: float = 2.0,
        scale_max: float = 4.0,
        logsnr_min: float = -15.0,
        logsnr_max: float = 15.0,
    ) -> None:
        if num_timesteps < 2:
            raise ValueError(
                f'`num_timesteps` must be at least 2, got {num_timesteps}'
            )
        if min(scale_min, scale_max) <= 0:
            raise ValueError(
                '`scale_min` and `scale_max` must be positive, got '
                f'{scale_min} and {scale_max}'
            )
        if logsnr_min >= logsnr_max:
            raise ValueError(
                '`logsnr_min` must be less than `logsnr_max`, got '
                f'{logsnr_min} and {logsnr_max}'
            )
        sigma = logsnr_cosine_interp(
            num_timesteps, scale_min, scale_max, logsnr_min, logsnr_max
        )
        super().__init__(torch.sqrt(1 - sigma.square()), sigma)

    def list_timesteps(
        self, mode: str, steps: int, strength: float
    ) -> list[float]:
        """List the timesteps of a restoration.

        Args:
            mode: 'fast' or 'normal', the two lists of the official code.
            steps: evaluations in mode 'normal', cut to one per timestep.
            strength: the first timestep's share of 899, (0, 1].

        Returns:
            Decreasing timesteps, fractions among them.
        """
        start = round(self.start_timestep * strength)
        if mode == 'fast':
            return fast_timesteps(start)
        return normal_timesteps(min(steps, start + 1), start)
