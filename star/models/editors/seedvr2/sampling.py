"""SeedVR2's straight path from noise to the clip, in one step or several."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

STEPS = 1000  # timestep of pure noise
_POSTERIOR_RANGE = (-30.0, 20.0)
# pixels and shift at two points of a line: for clips, and for images
_CLIPS = (256 * 256 * 37, 1.0), (1280 * 720 * 145, 5.0)
_IMAGES = (256 * 256, 1.0), (1024 * 1024, 3.2)
_PIXELS, _FRAMES = 8, 4  # of a latent

Velocity = Callable[[Tensor, float], Tensor]


def timesteps(steps: int) -> list[float]:
    """Return the timesteps of the network's calls, from 1000 down."""
    return [STEPS * (1 - i / steps) for i in range(steps)]


def mix(x0: Tensor, noise: Tensor, t: float) -> Tensor:
    """Go from the clean latents towards noise, in a straight line.

    Args:
        x0: clean latents.
        noise: like `x0`.
        t: 0 for `x0`, 1000 for `noise`.
    """
    share = t / STEPS
    return (1 - share) * x0 + share * noise


def shift_timestep(t: float, size: Sequence[int]) -> float:
    """Move a timestep up, the more so the larger a clip is.

    Only the noise of the low-quality latents uses it.

    Args:
        t: 0 to 1000.
        size: frames, rows and columns of latents. The official script gives
            rows, columns and channels here.
    """
    latents, rows, columns = size
    frames = _FRAMES * (latents - 1) + 1
    pixels = _PIXELS * rows * _PIXELS * columns
    if frames > 1:
        line, place = _CLIPS, pixels * frames
    else:
        line, place = _IMAGES, pixels
    (x1, y1), (x2, y2) = line
    slope = (y2 - y1) / (x2 - x1)
    # in float32, as the official code
    shift = torch.tensor(float(place)) * slope + (y1 - slope * x1)
    share = torch.tensor(float(t)) / STEPS
    return float(shift * share / (1 + (shift - 1) * share) * STEPS)


def sample_posterior(moments: Tensor, noise: Tensor) -> Tensor:
    """Draw latents from their Gaussian.

    Args:
        moments: mean and logarithm of the variance, (N, 2 C, T, h, w).
        noise: standard normal, (N, C, T, h, w).
    """
    mean, logvar = moments.chunk(2, 1)
    deviation = (logvar.clamp(*_POSTERIOR_RANGE) / 2).exp()
    return mean + deviation * noise


def make_condition(lq: Tensor) -> Tensor:
    """Add the channel of ones that asks for a restoration, (N, C + 1, ...)."""
    return torch.cat([lq, torch.ones_like(lq[:, :1])], 1)


def guide(
    positive: Tensor, negative: Tensor, scale: float, rescale: float
) -> Tensor:
    """Combine the velocities with the good and with the bad text.

    Args:
        positive: (N, C, T, h, w).
        negative: like `positive`.
        scale: 1 gives `positive`.
        rescale: how far each latent's deviation over the channels is moved
            back to that of `positive`, 0 to 1.
    """
    v = negative + scale * (positive - negative)
    if not rescale:
        return v
    ratio = positive.std(1, keepdim=True) / v.std(1, keepdim=True)
    return v * (rescale * ratio + 1 - rescale)


def sample(
    velocity: Velocity,
    noise: Tensor,
    steps: int,
    report: Callable[[int], None] = lambda i: None,
) -> Tensor:
    """Go from noise to latents.

    Args:
        velocity: (latents, timestep) -> noise - x0.
        noise: of the start.
        steps: calls of `velocity`.
        report: called with the number of steps that are done.

    Returns:
        Latents like `noise`.
    """
    x, times = noise, [*timesteps(steps), 0.0]
    for i in range(steps):
        t, after = times[i], times[i + 1]
        x = x + (after - t) / STEPS * velocity(x, t)
        report(i + 1)
    return x
