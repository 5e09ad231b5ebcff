"""The schedule and the positions of CogVideoX1.5's transformer."""

import numpy as np
import torch
from torch import Tensor

from star.diffusion.respaced import scaled_linear_product

TIMESTEPS = 1000
_BETAS = 0.00085, 0.012


def signal_share(t: int) -> float:
    """Compute the cumulated alpha of a timestep.

    The schedule is scaled linear, rescaled to a zero SNR at the end. No
    tensor is made, so that it is also there where tensors have no content.

    Args:
        t: timestep, 0 to 999.

    Returns:
        The share of the signal's variance in a noised latent, 0 to 1.
    """
    roots = np.sqrt(scaled_linear_product(TIMESTEPS, *_BETAS))
    roots = (roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))
    return float(roots[t] ** 2)


def to_clean(z: Tensor, v: Tensor, share: float) -> Tensor:
    """Compute the clean latents of noised ones and their velocity.

    The share is rounded to the latents' dtype before the square roots, as in
    the official code: 0.625 z - 0.78125 v in bfloat16, with which the
    network was trained, and 0.6273 z - 0.7788 v in float32.

    Args:
        z: latents, of any shape.
        v: their velocity.
        share: of the signal, see `signal_share`.
    """
    signal, noise = _roots(z, share)
    return signal * z - noise * v


def add_noise(z: Tensor, noise: Tensor, share: float) -> Tensor:
    """Noise latents.

    Args:
        z: latents, of any shape.
        noise: standard normal, of this shape.
        share: of the signal that is left, see `signal_share`.
    """
    signal, rest = _roots(z, share)
    return signal * z + rest * noise


def rope(
    grid: tuple[int, int, int], head_dim: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Compute the rotations of video tokens, all axes counted from 0.

    Args:
        grid: tokens in time, height and width.
        head_dim: channels of a head.
        device: where to.

    Returns:
        Cosines and sines, (tokens, head_dim) each.
    """
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    frames, *size = grid
    return get_3d_rotary_pos_embed(
        head_dim,
        None,
        tuple(size),
        frames,
        grid_type='slice',
        max_size=tuple(size),
        device=device,
    )


def _roots(z: Tensor, share: float) -> tuple[Tensor, Tensor]:
    rounded = torch.tensor(share, dtype=z.dtype, device=z.device)
    return rounded.sqrt(), (1 - rounded).sqrt()
