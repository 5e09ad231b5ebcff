"""What is known of the velocity before a network is asked."""

from torch import Tensor


def lq_velocity(
    x_t: Tensor, x_lq: Tensor, std: Tensor, alpha: Tensor, sigma: Tensor
) -> tuple[Tensor, Tensor]:
    """Estimate the velocity from the low-quality latent alone.

    Takes x0 - x_lq for Gaussian with a known deviation, independent in every
    channel; the best estimate of x0 from x_t and x_lq is then linear, and so
    is that of the velocity. Neither limit of the schedule divides by zero.

    Args:
        x_t: noised latents, (N, C, T, h, w).
        x_lq: low-quality latents, of the same shape.
        std: deviation of x0 - x_lq, above 0, broadcastable to `x_t`.
        alpha: of the noise schedule at t, broadcastable to `x_t`.
        sigma: likewise, with alpha**2 + sigma**2 = 1.

    Returns:
        The estimate, and the deviation of its error, (N, C, 1, 1, 1).

    Source: the preconditioning of Karras et al., "Elucidating the Design
    Space of Diffusion-Based Generative Models", Eq. 7, around `x_lq`.
    """
    variance = alpha**2 * std**2 + sigma**2
    away = x_t - alpha * x_lq
    gain = alpha * (1 - std**2) / variance
    return sigma * (gain * away - x_lq), std / variance.sqrt()
