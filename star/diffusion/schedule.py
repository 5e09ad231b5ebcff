"""The base of all noise schedules: alpha and sigma over the timesteps."""

import math
from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor, nn

Level = tuple[float, float]  # alpha and sigma


class LevelTable(Protocol):
    """A lookup of (alpha, sigma) by timestep, as denoisers use it."""

    def at(self, t: float) -> Level:
        """Look up (alpha, sigma) at a timestep."""


class SamplerSchedule(LevelTable, Protocol):
    """The lookups that a sampler makes in a noise schedule."""

    def for_timesteps(
        self, timesteps: Sequence[float]
    ) -> tuple[list[Level], LevelTable]:
        """Look up the levels of a sampler and those of its denoiser."""


class Schedule(nn.Module):
    """Variance-preserving schedule: x_t = alpha_t x0 + sigma_t noise.

    The buffers `alpha` and `sigma`, (num_timesteps,), are not in the state
    dict and stay float32 when the module is cast. Results have the dtype of
    the first argument and are computed in at least float32.

    Args:
        alpha: (num_timesteps,) float32, decreasing.
        sigma: (num_timesteps,) float32, increasing; alpha^2 + sigma^2 = 1.
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
        # follow the module to its device, but keep the precision
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
    ) -> tuple[list[Level], LevelTable]:
        """Look up (alpha, sigma) for a sampler and for its denoiser.

        Args:
            timesteps: decreasing, all that the sampler will visit.

        Returns:
            The sampler's (alpha, sigma) of each timestep, and the table in
            which the denoiser looks up its own. Both are equal here.
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

    def _coefficients(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1,) + (1,) * (x.ndim - 1)
        alpha = self.alpha[t].to(x.device).reshape(shape)
        sigma = self.sigma[t].to(x.device).reshape(shape)
        return alpha, sigma
