"""Ancestral sampling (DDPM) at some of a schedule's timesteps.

Nichol and Dhariwal, "Improved Denoising Diffusion Probabilistic Models",
section 4: betas of the kept timesteps follow from the products of all.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

Table = np.ndarray
Predict = Callable[[Tensor, int], Tensor]
StepNoise = Callable[[int], Tensor]
Adjust = Callable[[Tensor, int], Tensor]

_LEAST = 1e-20  # of a variance in a logarithm
_TIMESTEPS, _BETAS = 1000, (0.00085, 0.012)  # Stable Diffusion's


def scaled_linear_product(
    num_timesteps: int, beta_start: float, beta_end: float
) -> Table:
    """Multiply 1 - beta, where the square roots of beta grow linearly.

    No tensor is made: the tables of a restoration are also needed where
    tensors have no content.

    Args:
        num_timesteps: length of the table.
        beta_start: first beta.
        beta_end: last beta.

    Returns:
        The products up to each timestep, (num_timesteps,) float64.
    """
    ends = math.sqrt(beta_start), math.sqrt(beta_end)
    roots = np.linspace(*ends, num_timesteps, dtype=np.float64)
    return np.cumprod(1 - roots**2)


def spaced_timesteps(steps: int) -> list[int]:
    """Choose timesteps of 1000 evenly, the first and the last always.

    Args:
        steps: how many, from 1 to 1000; 1 gives the last alone.

    Returns:
        Increasing timesteps, rounded as Python does, halves to even.

    Raises:
        ValueError: `steps` is out of range.
    """
    if not 1 <= steps <= _TIMESTEPS:
        raise ValueError(f'`steps` must lie in [1, {_TIMESTEPS}], got {steps}')
    if steps == 1:
        return [_TIMESTEPS - 1]
    stride, place, found = (_TIMESTEPS - 1) / (steps - 1), 0.0, []
    for _ in range(steps):
        found.append(round(place))
        place += stride
    return found


@dataclass(frozen=True)
class RespacedSchedule:
    """The tables of some timesteps, by their index i from clean to noisy.

    Args:
        timesteps: increasing; the networks get these.
        last: product of 1 - beta up to the last timestep of all.
        products: of 1 - beta up to each kept timestep, (K,) float32.
    """

    timesteps: tuple[int, ...]
    last: float
    products: Table

    @property
    def before(self) -> Table:
        """The products of the index before, 1 at the first, (K,)."""
        return np.append(np.float32(1), self.products[:-1])

    @property
    def betas(self) -> Table:
        """Share of noise that each index adds to the one before, (K,)."""
        return 1 - self.products / self.before

    @property
    def variances(self) -> Table:
        """Variance of the noise of each step: the posterior's, (K,)."""
        return self.betas * (1 - self.before) / (1 - self.products)

    def start(self, z: Tensor, noise: Tensor) -> Tensor:
        """Noise clean latents to the last timestep of all.

        Args:
            z: scaled latents.
            noise: standard normal, like z.
        """
        return math.sqrt(self.last) * z + math.sqrt(1 - self.last) * noise

    def mean_weights(self) -> tuple[Table, Table]:
        """Compute the weights of x0 and of x_i in a step's mean, (K,) each."""
        rest = 1 - self.products
        return (
            self.betas * np.sqrt(self.before) / rest,
            (1 - self.before) * np.sqrt(1 - self.betas) / rest,
        )

    def log_variance(self, i: int) -> float:
        """Return the logarithm of a step's variance, of 1e-20 at i = 0."""
        return math.log(max(float(self.variances[i]), _LEAST))

    def clean(self, x: Tensor, predicted: Tensor, i: int) -> Tensor:
        """Compute x0 from noisy latents and their predicted noise."""
        inverse = 1 / self.products[i]
        scale, share = np.sqrt(inverse), np.sqrt(inverse - 1)
        return float(scale) * x - float(share) * predicted

    def step(self, x: Tensor, x0: Tensor, i: int, noise: Tensor) -> Tensor:
        """Go from index i to i - 1.

        Args:
            x: noisy latents.
            x0: predicted clean ones.
            i: index of x.
            noise: standard normal, like x; unused at i = 0.
        """
        of_x0, of_x = (float(weights[i]) for weights in self.mean_weights())
        mean = of_x0 * x0 + of_x * x
        if i == 0:
            return mean
        return mean + math.sqrt(float(self.variances[i])) * noise


def respace(steps: int) -> RespacedSchedule:
    """Keep some timesteps of a scaled linear schedule, Stable Diffusion's.

    Tables have float32, as in the official codes of StableSR and MGLD-VSR:
    that changes the first beta by 3e-5 of itself.

    Args:
        steps: as for `spaced_timesteps`.

    Raises:
        ValueError: `steps` is out of range.
    """
    whole = scaled_linear_product(_TIMESTEPS, *_BETAS).astype(np.float32)
    timesteps = spaced_timesteps(steps)
    return RespacedSchedule(
        tuple(timesteps), float(whole[-1]), whole[timesteps]
    )


def sample_ancestral(
    predict: Predict,
    x: Tensor,
    schedule: RespacedSchedule,
    noise: StepNoise,
    adjust: Adjust | None = None,
) -> Tensor:
    """Denoise latents with ancestral steps; x0 is not clipped.

    Args:
        predict: (x_t, timestep) -> predicted noise.
        x: noisy latents at the last timestep, float32 or better.
        schedule: of the steps.
        noise: step k, from 0 -> standard normal noise like x; called in order
            for every step but the last.
        adjust: (latents, index i of the step that made them) -> latents,
            after every step.

    Returns:
        Clean latents.
    """
    count = len(schedule.timesteps)
    for k, i in enumerate(reversed(range(count))):
        predicted = predict(x, schedule.timesteps[i])
        x0 = schedule.clean(x, predicted, i)
        x = schedule.step(x, x0, i, noise(k).to(x) if i else x)
        if adjust is not None:
            x = adjust(x, i)
    return x
