"""Video autoencoders: clips (N, C, T, H, W) in [-1, 1] <-> latents."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from torch import Tensor, nn

from star.models.layers.norm import set_norm_groups
from star.models.layers.offloading import device_of
from star.registry import MODELS
from star.utils.checks import check_least
from star.utils.distributed import Spread
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state
from star.video.blending import fade
from star.video.tiling import (
    Tile,
    TileSize,
    both_axes,
    cut_tile,
    plan_tiles,
    stitch_tiles,
)

if TYPE_CHECKING:
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution


@MODELS.register_module()
class TemporalVAE(nn.Module):
    """Wraps diffusers' image encoder and its decoder of several frames.

    The defaults are those of Stable Video Diffusion, which STAR uses. All
    results come back in the input's dtype; the network may be in another
    one. Nothing here switches gradients off.

    Args:
        latent_channels: channels of a latent.
        block_out_channels: width of each level; every level after the first
            halves the frame.
        layers_per_block: residual blocks per level of the encoder; the
            decoder has one more.
        scaling_factor: latents are multiplied by it, so that their standard
            deviation is about 1.
        pretrained: weights, as for `load_vae_weights`.
        encode_batch: frames encoded at once; changes speed and memory only.
        decode_window: frames decoded at once; the decoder mixes them. STAR
            has 3.
        decode_overlap: frames that neighbouring windows share, which are
            cross-faded, at most half of `decode_window`. STAR has 0.
        posterior: 'mode', or 'sample' as in STAR.
        norm_groups: groups of every GroupNorm. diffusers fixes 32; narrow
            networks need fewer, because a group of one channel forgets the
            brightness that the channel carries.

    Raises:
        ValueError: an option is out of range, or the weights do not fit.
    """

    vae: Any  # diffusers' mixins hide from mypy that it is a module
    decoder: nn.Module | None  # in the place of the network's own
    temporal_downsample = 1  # frames of a latent

    def __init__(
        self,
        latent_channels: int = 4,
        block_out_channels: tuple[int, ...] = (128, 256, 512, 512),
        layers_per_block: int = 2,
        scaling_factor: float = 0.18215,
        pretrained: str | None = None,
        encode_batch: int = 1,
        decode_window: int = 3,
        decode_overlap: int = 0,
        posterior: str = 'mode',
        norm_groups: int = 32,
    ) -> None:
        super().__init__()
        from diffusers import AutoencoderKLTemporalDecoder  # slow to import

        _check_windows(encode_batch, decode_window, decode_overlap)
        if posterior not in ('mode', 'sample'):
            raise ValueError(
                f"`posterior` must be 'mode' or 'sample', got {posterior!r}"
            )
        self.latent_channels = latent_channels
        self.scaling_factor = scaling_factor
        self.encode_batch = encode_batch
        self.decode_window = decode_window
        self.decode_overlap = decode_overlap
        self.samples = posterior == 'sample'
        self.downsample = 2 ** (len(block_out_channels) - 1)
        self.vae = AutoencoderKLTemporalDecoder(
            down_block_types=('DownEncoderBlock2D',) * len(block_out_channels),
            block_out_channels=tuple(block_out_channels),
            layers_per_block=layers_per_block,
            latent_channels=latent_channels,
            scaling_factor=scaling_factor,
        )
        set_norm_groups(self, norm_groups)
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
        """Encode a clip frame by frame.

        Args:
            x: clip, (N, C, T, H, W), RGB in [-1, 1]; H and W multiples of
                `downsample`; may live on another device than the network.
            generator: of the posterior's noise, or one for each clip; unused
                for its mode.
            tile: side of a spatial tile in pixels of the clip, or its height
                and width, rounded down to multiples of `downsample`, 0 for
                none. Neighbours share a quarter and are blended. Norms and
                attention see one tile only, so the result changes a little.

        Returns:
            Scaled latent (N, latent_channels, T, H / downsample,
            W / downsample), where `x` lives.

        Raises:
            ValueError: the sides are no multiples of `downsample`, or
                `tile` is less than four of them.
        """
        posterior = self.posterior(x, tile)
        if isinstance(generator, list):
            generator = [g for g in generator for _ in range(x.shape[2])]
        z = posterior.sample(generator) if self.samples else posterior.mode()
        z = rearrange(z, '(n t) c h w -> n c t h w', n=len(x))
        return z * self.scaling_factor

    def posterior(
        self, x: Tensor, tile: TileSize = 0
    ) -> DiagonalGaussianDistribution:
        """Return the unscaled Gaussian of every frame's latent.

        Args:
            x: clip as for `encode`.
            tile: as for `encode`.

        Returns:
            diffusers' `DiagonalGaussianDistribution` over (N T, C, h, w),
            with `mean`, `logvar`, `sample(generator)`, `mode()`, `kl()`.
        """
        from diffusers.models.autoencoders.vae import (
            DiagonalGaussianDistribution,
        )

        side = self.downsample
        if x.shape[-2] % side or x.shape[-1] % side:
            raise ValueError(
                f'`x` must have sides that are multiples of {side}, got '
                f'{x.shape[-2]} x {x.shape[-1]}'
            )
        frames = rearrange(x, 'n c t h w -> (n t) c h w')
        moments = [
            self._encode_frames(batch, tile).to(x)
            for batch in frames.split(self.encode_batch)
        ]
        return DiagonalGaussianDistribution(torch.cat(moments))

    def decode(self, z: Tensor, tile: TileSize = 0) -> Tensor:
        """Decode a whole latent.

        Args:
            z: scaled latent, (N, C, T, h, w).
            tile: as for `encode`.

        Returns:
            Clip (N, 3, T, h * downsample, w * downsample), about [-1, 1],
            not clamped, where `z` lives.
        """
        pieces = [piece.to(z.device) for piece in self.decode_pieces(z, tile)]
        return torch.cat(pieces, dim=2)

    def decode_pieces(
        self, z: Tensor, tile: TileSize = 0, spread: Spread = map
    ) -> Iterator[Tensor]:
        """Decode piece by piece, so that only one window is in memory.

        Args:
            z: scaled latent, (N, C, T, h, w); may live on another device.
            tile: as for `encode`.
            spread: calls `decode_part`; `map`, or what shares the windows.

        Yields:
            Consecutive pieces of the clip, (N, 3, t, H, W) with t >= 1, on
            the device of the network; together all T frames.
        """
        overlap = self.decode_overlap
        earlier = None
        windows = list(_windows(z.shape[2], self.decode_window, overlap))
        parts = (z[:, :, start:end] for start, end in windows)
        decoded = spread(self.decode_part, parts, repeat(tile))
        for (_, end), piece in zip(windows, decoded, strict=True):
            piece = piece.to(device_of(self))
            if earlier is not None:
                piece = fade(earlier, piece, 2)
            if end < z.shape[2] and overlap:
                earlier = piece[:, :, -overlap:]
                piece = piece[:, :, :-overlap]
            yield piece

    def _encode_frames(self, frames: Tensor, tile: TileSize) -> Tensor:
        """Return the moments (B, 2 C, h, w) of a few frames."""
        frames = frames.to(device_of(self), self.vae.dtype)
        if not tile:
            return self._encode_tile(frames)
        side = self.downsample
        height, width = frames.shape[-2] // side, frames.shape[-1] // side
        tiles = plan_vae_tiles(height, width, tile, side)
        pieces = (self._encode_tile(cut_tile(frames, t, side)) for t in tiles)
        return stitch_tiles(pieces, tiles)

    def decode_part(self, z: Tensor, tile: TileSize) -> Tensor:
        """Decode the frames of one window together.

        Args:
            z: scaled latent of the window, (N, C, t, h, w), on any device.
            tile: as for `encode`.

        Returns:
            (N, 3, t, H, W) of the dtype of `z`, on the network's device.
        """
        num_frames, side = z.shape[2], self.downsample
        # a small decoder takes latents as they are scaled
        factor = self.scaling_factor if self.decoder is None else 1
        frames = rearrange(z / factor, 'n c t h w -> (n t) c h w')
        frames = frames.to(device_of(self), self.vae.dtype)
        if tile:
            height, width = frames.shape[-2:]
            tiles = plan_vae_tiles(height, width, tile, side, in_pixels=True)
            pieces = (
                self._decode_tile(cut_tile(frames, t, 1, side), num_frames)
                for t in tiles
            )
            out = stitch_tiles(pieces, tiles)
        else:
            out = self._decode_tile(frames, num_frames)
        out = rearrange(out, '(n t) c h w -> n c t h w', t=num_frames)
        return out.to(z.dtype)

    def _encode_tile(self, frames: Tensor) -> Tensor:
        return self.vae.encode(frames).latent_dist.parameters

    def _decode_tile(self, frames: Tensor, num_frames: int) -> Tensor:
        if self.decoder is None:
            return self.vae.decode(frames, num_frames=num_frames).sample
        z = rearrange(frames, '(n t) c h w -> n c t h w', t=num_frames)
        clip, _ = self.decoder(z)
        return rearrange(clip, 'n c t h w -> (n t) c h w')


def plan_vae_tiles(
    height: int,
    width: int,
    tile: TileSize,
    downsample: int,
    in_pixels: bool = False,
) -> list[Tile]:
    """Plan tiles that begin and end on whole latents and share a quarter.

    Args:
        height: rows of the latent.
        width: columns of the latent.
        tile: a tile's side in pixels, or its height and width.
        downsample: pixels per latent.
        in_pixels: return tiles in pixels, not in latents.

    Raises:
        ValueError: a side is less than four latents.
    """
    if min(both_axes(tile)) < 4 * downsample:
        raise ValueError(
            f'`tile` must be 0 or at least {4 * downsample}, got {tile}'
        )
    rows, columns = (side // downsample for side in both_axes(tile))
    # Multiples of `factor` throughout put every tile on whole latents.
    factor = downsample if in_pixels else 1
    return plan_tiles(
        height * factor,
        width * factor,
        (rows * factor, columns * factor),
        (rows // 4 * factor, columns // 4 * factor),
    )


def load_vae_weights(vae: nn.Module, path: str | Path) -> None:
    """Load weights that diffusers has written, all of them and no others.

    Those of a decoder that a small one has replaced are left out.

    Args:
        vae: whose `vae` gets them; keeps its dtype and device.
        path: a safetensors file, or a folder in diffusers' layout with
            `diffusion_pytorch_model[.fp16].safetensors`.

    Raises:
        ValueError: there is no such file, or it belongs to another network.
    """
    file = _weight_file(Path(path))
    state = dict(read_state(file))
    if getattr(vae, 'decoder', None) is not None:
        state = {
            n: t for n, t in state.items() if not n.startswith('decoder.')
        }
    load_strict(vae.get_submodule('vae'), state, file)


def _weight_file(path: Path) -> Path:
    if path.is_file():
        return path
    names = ('', '.fp16')
    files = [
        path / f'diffusion_pytorch_model{name}.safetensors' for name in names
    ]
    for file in files:
        if file.is_file():
            return file
    raise ValueError(f'no VAE weights: neither {files[0]} nor {files[1]}')


def _check_windows(batch: int, window: int, overlap: int) -> None:
    check_least('encode_batch', batch, 1)
    check_least('decode_window', window, 1)
    if not 0 <= overlap <= window // 2:
        raise ValueError(
            '`decode_overlap` must lie between 0 and half of `decode_window` '
            f'({window // 2}), got {overlap}'
        )


def _windows(
    length: int, size: int, overlap: int
) -> Iterator[tuple[int, int]]:
    """Cover 0..length from the left; only the last window may be shorter.

    Unlike the denoiser's windows the last one is not moved back: the official
    code decodes no frame twice.
    """
    start, end = 0, min(size, length)
    yield start, end
    while end < length:
        start += size - overlap
        end = min(start + size, length)
        yield start, end
