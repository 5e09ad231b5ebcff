"""CogVideoX's video autoencoder: four frames become one latent frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from star.models.autoencoders.temporal_vae import (
    load_vae_weights,
    plan_vae_tiles,
)
from star.models.layers.offloading import device_of
from star.models.layers.same_conv import prevent_unfolding
from star.registry import MODELS
from star.utils.distributed import Spread
from star.video.tiling import TileSize, cut_tile, stitch_tiles

if TYPE_CHECKING:
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

# Convolutions over one frame. diffusers keeps their memory, a copy of the
# whole window at every norm, and never reads it.
_WITHOUT_MEMORY = ('conv_y', 'conv_b')


@MODELS.register_module()
class CogVideoXVAE(nn.Module):
    """Wraps diffusers' causal 3D autoencoder, as `TemporalVAE` does.

    A clip of 4 k + 1 frames has k + 1 latent frames: the first latent stands
    for the first frame, every other one for four. Clips are computed in
    windows of frames. Causal convolutions remember the window before, but
    norms see one window only, so the result depends on the windows. The
    defaults are diffusers', with which the networks were published.
    All results come back in the input's dtype; nothing here switches
    gradients off.

    Args:
        latent_channels: channels of a latent.
        block_out_channels: width of each level, three at least; every level
            after the first halves the frame, two of them halve time.
        layers_per_block: residual blocks per level of the encoder; the
            decoder has one more.
        scaling_factor: latents are multiplied by it; 0.7 for CogVideoX-5B
            and STAR, 1.15258426 for CogVideoX-2B.
        pretrained: weights, as for `load_vae_weights`.
        encode_window: frames encoded at once, a multiple of 4. The first
            window also has the remainder.
        decode_window: latent frames decoded at once, an even number. The
            first window also has the remainder.
        posterior: 'mode', or 'sample'.
        norm_groups: groups of every GroupNorm.

    Raises:
        ValueError: an option is out of range, or the weights do not fit.
    """

    vae: Any  # diffusers' mixins hide from mypy that it is a module
    decoder: nn.Module | None  # in the place of the network's own
    temporal_downsample = 4
    counted_once = ('_encode', 'decode_part')  # see DiffusionBaseline

    def __init__(
        self,
        latent_channels: int = 16,
        block_out_channels: tuple[int, ...] = (128, 256, 256, 512),
        layers_per_block: int = 3,
        scaling_factor: float = 0.7,
        pretrained: str | None = None,
        encode_window: int = 8,
        decode_window: int = 2,
        posterior: str = 'mode',
        norm_groups: int = 32,
    ) -> None:
        super().__init__()
        from diffusers import AutoencoderKLCogVideoX  # slow to import

        levels = len(block_out_channels)
        _check_options(levels, encode_window, decode_window, posterior)
        self.latent_channels = latent_channels
        self.scaling_factor = scaling_factor
        self.encode_window = encode_window
        self.decode_window = decode_window
        self.samples = posterior == 'sample'
        self.downsample = 2 ** (levels - 1)
        self.vae = AutoencoderKLCogVideoX(
            down_block_types=('CogVideoXDownBlock3D',) * levels,
            up_block_types=('CogVideoXUpBlock3D',) * levels,
            block_out_channels=tuple(block_out_channels),
            latent_channels=latent_channels,
            layers_per_block=layers_per_block,
            norm_num_groups=norm_groups,
            scaling_factor=scaling_factor,
        )
        prevent_unfolding(self.vae)
        self.decoder = None
        if pretrained is not None:
            load_vae_weights(self, pretrained)

    def use_decoder(self, decoder: nn.Module) -> None:
        """Decode with a small network, and drop the own decoder.

        Args:
            decoder: a SmallDecoder for these latents.
        """
        del self.vae.decoder
        self.decoder = decoder

    def encode(
        self,
        x: Tensor,
        generator: torch.Generator | list[torch.Generator] | None = None,
        tile: TileSize = 0,
    ) -> Tensor:
        """Encode a clip, window by window.

        Args:
            x: clip, (N, C, T, H, W), RGB in [-1, 1]; T = 4 k + 1, H and W
                multiples of `downsample`; may live on another device than
                the network, which gets one window at a time.
            generator: of the posterior's noise, or one for each clip; unused
                for its mode.
            tile: side of a spatial tile in pixels of the clip, or its height
                and width, rounded down to multiples of `downsample`, 0 for
                none. Neighbours share a quarter and are blended. Norms see
                one tile only, so the result changes a little.

        Returns:
            Scaled latent (N, latent_channels, k + 1, H / downsample,
            W / downsample), where `x` lives.

        Raises:
            ValueError: the shape is another one, or `tile` is less than four
                latents.
        """
        posterior = self.posterior(x, tile)
        z = posterior.sample(generator) if self.samples else posterior.mode()
        return z * self.scaling_factor

    def posterior(
        self, x: Tensor, tile: TileSize = 0
    ) -> DiagonalGaussianDistribution:
        """Return the unscaled Gaussian of a clip's latent.

        Args:
            x: clip as for `encode`.
            tile: as for `encode`.

        Returns:
            diffusers' `DiagonalGaussianDistribution` over (N, C, k + 1, h,
            w), with `mean`, `logvar`, `sample(generator)`, `mode()`.
        """
        from diffusers.models.autoencoders.vae import (
            DiagonalGaussianDistribution,
        )

        self._check_clip(x)
        if not tile:
            return DiagonalGaussianDistribution(self._encode(x))
        side = self.downsample
        tiles = plan_vae_tiles(
            x.shape[-2] // side, x.shape[-1] // side, tile, side
        )
        pieces = (self._encode(cut_tile(x, t, side)) for t in tiles)
        moments = stitch_tiles(pieces, tiles).to(x.dtype)
        return DiagonalGaussianDistribution(moments)

    def decode(self, z: Tensor, tile: TileSize = 0) -> Tensor:
        """Decode a whole latent.

        Args:
            z: scaled latent, (N, C, k + 1, h, w).
            tile: as for `encode`.

        Returns:
            Clip (N, 3, 4 k + 1, h * downsample, w * downsample), about
            [-1, 1], not clamped, where `z` lives.
        """
        pieces = [piece.to(z.device) for piece in self.decode_pieces(z, tile)]
        return torch.cat(pieces, dim=2)

    def decode_pieces(
        self, z: Tensor, tile: TileSize = 0, spread: Spread = map
    ) -> Iterator[Tensor]:
        """Decode piece by piece, so that only one window is in memory.

        With tiles all windows of a tile are decoded before the next tile, so
        that the convolutions' memory of one tile suffices. The decoded clip
        is then held whole, in float32, where `z` lives.

        Args:
            z: scaled latent, (N, C, k + 1, h, w); may live on another device.
            tile: as for `encode`.
            spread: calls `decode_part`; `map`, or what shares the tiles.

        Yields:
            Consecutive pieces of the clip, (N, 3, t, H, W) with t >= 1, on
            the device of the network; together 4 k + 1 frames.
        """
        if not tile:
            yield from self._decode(z)
            return
        side = self.downsample
        tiles = plan_vae_tiles(
            z.shape[-2], z.shape[-1], tile, side, in_pixels=True
        )
        parts = (cut_tile(z, t, 1, side) for t in tiles)
        pieces = spread(self.decode_part, parts)
        clip = stitch_tiles(pieces, tiles)
        for start in range(0, clip.shape[2], 4 * self.decode_window):
            piece = clip[:, :, start : start + 4 * self.decode_window]
            yield piece.to(device_of(self), z.dtype)

    def decode_part(self, z: Tensor) -> Tensor:
        """Decode one tile as a clip by itself.

        Args:
            z: scaled latent of the tile, (N, C, k + 1, h, w).

        Returns:
            (N, 3, 4 k + 1, H, W), where `z` lives.
        """
        return torch.cat([p.to(z.device) for p in self._decode(z)], dim=2)

    def _encode(self, x: Tensor) -> Tensor:
        """Return the moments (N, 2 C, k + 1, h, w) of a clip or tile."""
        moments, memory = [], None
        for start, end in time_windows(x.shape[2], self.encode_window):
            piece = x[:, :, start:end].to(device_of(self), self.vae.dtype)
            out, memory = self.vae.encoder(piece, conv_cache=memory)
            memory = _needed(memory)
            moments.append(out.to(x))
        return torch.cat(moments, dim=2)

    def _decode(self, z: Tensor) -> Iterator[Tensor]:
        """Yield the decoded windows of a latent or tile.

        The network recognises the first window by its odd number of latents.
        If the total is even, the last latent is repeated, and its frames are
        dropped.
        """
        length, memory = z.shape[2], None
        left = 4 * (length - 1) + 1
        if length % 2 == 0:
            z = torch.cat([z, z[:, :, -1:]], dim=2)
        for start, end in time_windows(z.shape[2], self.decode_window):
            out, memory = self._decode_window(z[:, :, start:end], memory)
            out = out[:, :, :left]
            left -= out.shape[2]
            yield out.to(z.dtype)

    def _decode_window(self, z: Tensor, memory: Any) -> tuple[Tensor, Any]:
        """Decode one window; return it and the memory for the next."""
        where = device_of(self), self.vae.dtype
        if self.decoder is not None:  # which takes latents as they are scaled
            return self.decoder(z.to(*where), memory)
        piece = (z / self.scaling_factor).to(*where)
        out, memory = self.vae.decoder(piece, conv_cache=memory)
        return out, _needed(memory)

    def _check_clip(self, x: Tensor) -> None:
        num_frames, height, width = x.shape[-3:]
        if num_frames % 4 != 1:
            raise ValueError(
                f'`x` must have 4 k + 1 frames for CogVideoX, got {num_frames}'
            )
        side = self.downsample
        if height % side or width % side:
            raise ValueError(
                f'`x` must have sides that are multiples of {side}, got '
                f'{height} x {width}'
            )


def time_windows(length: int, size: int) -> list[tuple[int, int]]:
    """Cut 0..length into windows of `size`; the first also has the remainder.

    As in diffusers: all windows after the first must have an even length.

    Args:
        length: frames in all, at least 1.
        size: frames of a window.
    """
    first = length if length < size else size + length % size
    starts = [0, *range(first, length, size)]
    return list(zip(starts, [*starts[1:], length], strict=True))


def _needed(memory: dict) -> dict:
    """Drop the memory that the next window does not read."""
    return {
        name: _needed(value) if isinstance(value, dict) else value
        for name, value in memory.items()
        if name not in _WITHOUT_MEMORY
    }


def _check_options(
    levels: int, encode_window: int, decode_window: int, posterior: str
) -> None:
    if levels < 3:
        raise ValueError(
            f'`block_out_channels` must have at least 3 levels, got {levels}'
        )
    if encode_window < 4 or encode_window % 4:
        raise ValueError(
            f'`encode_window` must be a multiple of 4, got {encode_window}'
        )
    if decode_window < 2 or decode_window % 2:
        raise ValueError(
            f'`decode_window` must be an even number, got {decode_window}'
        )
    if posterior not in ('mode', 'sample'):
        raise ValueError(
            f"`posterior` must be 'mode' or 'sample', got {posterior!r}"
        )
