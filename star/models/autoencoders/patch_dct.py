"""A lossless autoencoder without weights: cosine transform of patches."""

import math
from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.same_conv import same_conv
from star.registry import MODELS
from star.utils.checks import check_least
from star.video.tiling import TileSize


def dct_basis(patch: int) -> Tensor:
    """Build the two-dimensional cosine basis of square patches.

    Args:
        patch: side of a patch, p.

    Returns:
        (p p, p p), rows orthonormal: row `u * p + v` has u half periods from
        top to bottom and v from left to right.

    Source: the discrete cosine transform II, as in JPEG.
    """
    index = torch.arange(patch, dtype=torch.float64)
    angle = math.pi / patch * torch.outer(index, index + 0.5)
    rows = angle.cos() * math.sqrt(2 / patch)
    rows[0] /= math.sqrt(2)
    return torch.kron(rows, rows).float()


def dct_gains(patch: int) -> Tensor:
    """Compute gains that bring a picture's coefficients closer together.

    A picture's coefficients fall about with the inverse frequency. The gains
    rise with its square root, so that smooth areas, where errors show most,
    still weigh more in a distance of latents.

    Args:
        patch: side of a patch, p.

    Returns:
        (p p,): 2 / p for the mean, so that latents of clips in [-1, 1]
        deviate by about 1, more for higher frequencies.
    """
    squares = torch.arange(patch, dtype=torch.float32).square()
    radius = (1 + squares[:, None] + squares).sqrt().flatten()
    return 2 / patch * radius.sqrt()


@MODELS.register_module()
class PatchDCT(nn.Module):
    """Turns patches of p x p pixels into latents of 3 p p channels and back.

    An invertible linear map without weights, for small networks that work at
    the size of the low-quality clip and lose nothing to the autoencoder.
    Computed in float32 in models of any dtype.

    Args:
        patch_size: side of a patch, p, >= 1.
        decode_window: frames decoded at once, >= 1; changes memory only.

    Raises:
        ValueError: an option is below 1.
    """

    temporal_downsample = 1  # frames of a latent

    device_of: Tensor

    def __init__(
        self,
        patch_size: int = 4,
        decode_window: int = 8,
    ) -> None:
        super().__init__()
        options = {'patch_size': patch_size, 'decode_window': decode_window}
        for name, value in options.items():
            check_least(name, value, 1)
        self.downsample = patch_size
        self.latent_channels = 3 * patch_size**2
        self.decode_window = decode_window
        self.register_buffer('device_of', torch.empty(0), persistent=False)

    def encode(
        self,
        x: Tensor,
        generator: torch.Generator | list[torch.Generator] | None = None,
        tile: TileSize = 0,
    ) -> Tensor:
        """Encode a clip.

        Args:
            x: clip, (N, 3, T, H, W), RGB in [-1, 1]; H and W multiples of
                `downsample`; may live on another device than the model.
            generator: unused: there are no random numbers.
            tile: unused: patches are independent.

        Returns:
            Latent (N, latent_channels, T, H / downsample, W / downsample),
            red, green and blue one after the other, where `x` lives.

        Raises:
            ValueError: the sides are no multiples of `downsample`.
        """
        side = self.downsample
        if x.shape[-2] % side or x.shape[-1] % side:
            raise ValueError(
                f'`x` must have sides that are multiples of {side}, got '
                f'{x.shape[-2]} x {x.shape[-1]}'
            )
        frames = rearrange(x, 'n c t h w -> (n t) c h w').float()
        z = self.encode_patches(F.pixel_unshuffle(frames, side))
        z = rearrange(z, '(n t) c h w -> n c t h w', n=len(x))
        return z.to(x.dtype).contiguous()

    def encode_patches(self, x: Tensor) -> Tensor:
        """Encode patches, each by itself.

        Args:
            x: (n, latent_channels, h, w) float32 in [-1, 1]: of each patch
                its red, green and blue pixels, row by row.

        Returns:
            Latents, of the shape of `x`.
        """
        side = self.downsample
        return _map_colours(x, dct_gains(side)[:, None] * dct_basis(side))

    def decode(self, z: Tensor, tile: TileSize = 0) -> Tensor:
        """Decode a whole latent.

        Args:
            z: latent, (N, latent_channels, T, h, w).
            tile: unused.

        Returns:
            Clip (N, 3, T, h * downsample, w * downsample), not clamped, of
            the dtype and where `z` lives.
        """
        frames = rearrange(z, 'n c t h w -> (n t) c h w').float()
        x = F.pixel_shuffle(self.decode_patches(frames), self.downsample)
        return rearrange(x, '(n t) c h w -> n c t h w', n=len(z)).to(z.dtype)

    def decode_patches(self, z: Tensor) -> Tensor:
        """Decode latents to patches; the inverse of `encode_patches`."""
        side = self.downsample
        return _map_colours(z, dct_basis(side).T / dct_gains(side))

    def decode_pieces(self, z: Tensor, tile: TileSize = 0) -> Iterator[Tensor]:
        """Decode piece by piece, so that only one window is in memory.

        Args:
            z: latent, (N, latent_channels, T, h, w); may live on another
                device.
            tile: unused.

        Yields:
            Consecutive pieces of the clip, (N, 3, t, H, W) with t >= 1, on
            the device of the model; together all T frames.
        """
        for window in z.split(self.decode_window, dim=2):
            yield self.decode(window.to(self.device_of.device))


def _map_colours(x: Tensor, matrix: Tensor) -> Tensor:
    """Apply a matrix to the pixels of each colour of patches."""
    weight = torch.block_diag(matrix, matrix, matrix).to(x.device)
    return same_conv(x, weight[..., None, None], None)
