"""Estimate of the velocity from the low-quality latent, without a network."""

from collections.abc import Sequence

from torch import Tensor


def lq_velocity(
    x_t: Tensor, x_lq: Tensor, std: Tensor, alpha: Tensor, sigma: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimate the velocity from the low-quality latent alone.

    It assumes that x0 - x_lq is Gaussian with a known deviation, independent
    in every channel. The best estimate of x0, and so of the velocity, is then
    linear in x_t and x_lq. No timestep leads to a division by zero.

    Args:
        x_t: noised latents, (N, C, T, h, w).
        x_lq: low-quality latents, of the same shape.
        std: deviation of x0 - x_lq, above 0, broadcastable to `x_t`.
        alpha: of the noise schedule at t, broadcastable to `x_t`.
        sigma: of the noise schedule at t; alpha**2 + sigma**2 = 1.

    Returns:
        The velocity and the deviation of its error, (N, C, 1, 1, 1).

    Source: the preconditioning of Karras et al., "Elucidating the Design
    Space of Diffusion-Based Generative Models", Eq. 7, around `x_lq`.
    """
    variance = alpha**2 * std**2 + sigma**2
    away = x_t - alpha * x_lq
    gain = alpha * (1 - std**2) / variance
    return sigma * (gain * away - x_lq), std / variance.sqrt()


def check_std(std: Sequence[float] | None, channels: int) -> None:
    """Refuse deviations that `lq_velocity` cannot use.

    Args:
        std: of each channel; None for no estimate.
        channels: of a latent.

    Raises:
        ValueError: they are not one positive number for each channel.
    """
    if std is None:
        return
    if len(std) != channels or not all(value > 0 for value in std):
        raise ValueError(
            f'`residual_std` must be {channels} positive numbers, got {std}'
        )
