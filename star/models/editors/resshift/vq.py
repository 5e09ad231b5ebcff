"""The autoencoder of ResShift, with a codebook (VQ-f4)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from star.models.autoencoders.ldm_names import from_ldm
from star.models.layers.chunked_attention import chunk_attention
from star.registry import MODELS

_DISTANCES = 1 << 24  # held at once


@MODELS.register_module()
class VQAutoencoder(nn.Module):
    """Wraps diffusers' `VQModel`: pictures in [-1, 1] <-> latents.

    Latents are neither scaled nor taken from the codebook; `decode` takes
    the nearest ones. The defaults are those of latent diffusion's VQ-f4.

    Args:
        block_out_channels: width of each level; every level after the first
            halves the picture.
        layers_per_block: residual blocks per level of the encoder.
        latent_channels: channels of a latent.
        codebook_size: vectors of the codebook.
    """

    vq: Any  # diffusers' mixins hide from mypy that it is a module

    def __init__(
        self,
        block_out_channels: Sequence[int] = (128, 256, 512),
        layers_per_block: int = 2,
        latent_channels: int = 3,
        codebook_size: int = 8192,
    ) -> None:
        super().__init__()
        from diffusers import VQModel  # slow to import

        levels = len(block_out_channels)
        self.levels, self.downsample = levels, 2 ** (levels - 1)
        self.vq = VQModel(
            down_block_types=('DownEncoderBlock2D',) * levels,
            up_block_types=('UpDecoderBlock2D',) * levels,
            block_out_channels=tuple(block_out_channels),
            layers_per_block=layers_per_block,
            latent_channels=latent_channels,
            num_vq_embeddings=codebook_size,
            vq_embed_dim=latent_channels,
        )
        chunk_attention(self.vq)

    @property
    def codebook(self) -> nn.Parameter:
        """Its vectors, (codebook_size, latent_channels)."""
        return self.vq.quantize.embedding.weight

    def encode(self, x: Tensor) -> Tensor:
        """Encode pictures.

        Args:
            x: (N, 3, H, W), about [-1, 1]; H and W are multiples of
                `downsample`.

        Returns:
            (N, latent_channels, H / downsample, W / downsample) of the type
            of `x`, not taken from the codebook.
        """
        return self.vq.encode(x.to(self._dtype)).latents.to(x)

    def decode(self, z: Tensor) -> Tensor:
        """Decode the nearest vectors of the codebook.

        Args:
            z: (N, latent_channels, h, w) float32.

        Returns:
            (N, 3, h * downsample, w * downsample) of the type of `z`, about
            [-1, 1], not clamped.
        """
        codebook = self.codebook
        nearest = codebook[find_nearest(z, codebook)].permute(0, 3, 1, 2)
        out = self.vq.decode(nearest.to(self._dtype), force_not_quantize=True)
        return out.sample.to(z)

    @property
    def _dtype(self) -> torch.dtype:
        """The networks' type; the codebook may keep a finer one."""
        return self.vq.quant_conv.weight.dtype

    def read(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Translate the tensors of a published file into this module's."""
        named = from_ldm(state, self.levels)
        return {f'vq.{name}': tensor for name, tensor in named.items()}


def find_nearest(
    z: Tensor, codebook: Tensor, distances: int = _DISTANCES
) -> Tensor:
    """Find the vector of a codebook that is nearest to each latent.

    Args:
        z: (N, C, h, w).
        codebook: (K, C).
        distances: how many are held at once.

    Returns:
        (N, h, w) int64, computed in float32.
    """
    vectors = codebook.float()
    norms = vectors.square().sum(1)
    points = z.float().permute(0, 2, 3, 1)
    size = max(1, distances // len(vectors))
    # the distances but for the square of each point
    found = [
        torch.addmm(norms, piece, vectors.T, alpha=-2).argmin(1)
        for piece in points.flatten(0, 2).split(size)
    ]
    return torch.cat(found).view(points.shape[:3])
