"""A backbone from outside, with its ControlNet: two 3-D convolutions."""

import torch
from torch import Tensor, nn

from star.models.restoration.limits import Limits
from star.registry import MODELS


@MODELS.register_module()
class Conv3dControl(nn.Module):
    """Turns the low-quality latents into features for `Conv3dDenoiser`.

    Args:
        latent_dim: channels of the latents.
        dim: channels of the features.
    """

    def __init__(self, latent_dim: int, dim: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(latent_dim, dim, 3, padding=1)

    def forward(
        self, z_t: Tensor, t: Tensor, text: Tensor, z_lq: Tensor
    ) -> Tensor:
        """Compute the control (N, dim, T, h, w).

        Args:
            z_t: noised latents, (N, C, T, h, w); unused.
            t: timesteps, (N,); unused.
            text: embeddings; unused.
            z_lq: low-quality latents, of the shape of `z_t`.
        """
        return self.conv(z_lq)

    def project_text(self, text: Tensor) -> Tensor:
        """Return the text: nothing of it is computed in advance."""
        return text


@MODELS.register_module()
class Conv3dDenoiser(nn.Module):
    """Predicts the velocity with two convolutions over time and space.

    Args:
        latent_dim: channels of the latents.
        dim: channels in between, as in its `Conv3dControl`.
    """

    limits = Limits()  # all timesteps, all scales

    def __init__(self, latent_dim: int, dim: int) -> None:
        super().__init__()
        self.enter = nn.Conv3d(latent_dim, dim, 3, padding=1)
        self.time = nn.Linear(1, dim)
        self.leave = nn.Conv3d(dim, latent_dim, 3, padding=1)

    @property
    def size_multiple(self) -> tuple[int, int]:
        """Latent height and width may be anything."""
        return 1, 1

    @property
    def size_remainder(self) -> tuple[int, int]:
        """No remainder; see `size_multiple`."""
        return 0, 0

    def project_text(self, text: Tensor) -> Tensor:
        """Return the text: nothing of it is computed in advance."""
        return text

    def forward(
        self, z_t: Tensor, t: Tensor, text: Tensor, control: Tensor
    ) -> Tensor:
        """Predict the velocity, of the shape of `z_t`.

        Args:
            z_t: noised latents, (N, C, T, h, w).
            t: timesteps, (N,) int64.
            text: embeddings; unused.
            control: from `Conv3dControl`, (N, dim, T, h, w).
        """
        level = self.time(t[:, None].to(z_t) / 1000)
        x = self.enter(z_t) + control + level[:, :, None, None, None]
        return self.leave(torch.nn.functional.silu(x))
