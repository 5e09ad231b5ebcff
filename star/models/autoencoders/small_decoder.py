"""A small network in the place of a video autoencoder's own decoder."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from star.registry import MODELS
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state

Memory = list[Tensor]  # of each layer over time, the frames that it needs


class HasDecoder(Protocol):
    """An autoencoder whose decoder can be exchanged."""

    downsample: int
    temporal_downsample: int
    latent_channels: int


@MODELS.register_module()
class SmallDecoder(nn.Module):
    """Decodes latents to clips with convolutions alone.

    It has neither norms nor attention, so a pixel depends on the latents
    around it only: tiles and whole frames give the same but for their
    borders. The last level works at half the size of the frame, and its
    last convolution gives the pixels of 2 x 2 patches.

    Latents of one frame are decoded in windows, which see nothing beyond
    themselves. Where a latent stands for several frames (`frames` > 1), the
    layers over time see earlier frames alone and keep them as memory, so
    windows of any length give the same.

    Args:
        latent_channels: channels of a latent.
        widths: channels of each level, coarsest first. A level halves the
            size of the latent's pixels; the factor between frame and latent
            is 2 to the power of their number.
        blocks: residual blocks of each level.
        frames: that a latent stands for, a power of two, at most 2 to the
            power of one less than the number of levels; if above 1, the
            first latent of a clip stands for one frame.
        pretrained: file with the weights.

    Raises:
        ValueError: an option is out of range, or the weights do not fit.
    """

    def __init__(
        self,
        latent_channels: int = 4,
        widths: Sequence[int] = (192, 128, 64),
        blocks: Sequence[int] = (3, 3, 3),
        frames: int = 1,
        pretrained: str | None = None,
    ) -> None:
        super().__init__()
        _check_options(widths, blocks, frames)
        self.latent_channels = latent_channels
        self.downsample = 2 ** len(widths)
        self.frames = frames
        doublings = frames.bit_length() - 1
        causal = frames > 1
        self.enter = nn.Conv2d(latent_channels, widths[0], 3, padding=1)
        self.levels = nn.ModuleList(
            DecoderLevel(width, count, causal)
            for width, count in zip(widths, blocks, strict=True)
        )
        self.growths = nn.ModuleList(
            DecoderGrowth(before, after, index < doublings)
            for index, (before, after) in enumerate(pairwise(widths))
        )
        self.leave = nn.Conv2d(widths[-1], 12, 3, padding=1)
        if pretrained is not None:
            load_strict(self, read_state(pretrained), pretrained)

    def forward(
        self, z: Tensor, memory: Memory | None = None
    ) -> tuple[Tensor, Memory]:
        """Decode a window of latents.

        Args:
            z: scaled latents, (N, C, t, h, w).
            memory: what the window before returned; None for the first.

        Returns:
            (N, 3, T, H, W) about [-1, 1], and the memory for the next
            window. T is t for latents of one frame; else t times `frames`,
            without the frames that a clip's first latent does not stand
            for.
        """
        past = iter(memory or ())
        kept: Memory = []
        x = each_frame(self.enter, z)
        for level, growth in zip(
            self.levels, [*self.growths, None], strict=True
        ):
            x, seen = level(x, next(past, None))
            kept.append(seen)
            if growth is not None:
                x = growth(x, memory is None)
        x = each_frame(self._leave, F.silu(x))
        return x, kept

    def _leave(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.leave(x), 2)


def check_decoder(decoder: Any, autoencoder: HasDecoder) -> None:
    """Refuse a small decoder of other latents than an autoencoder's.

    Args:
        decoder: a SmallDecoder.
        autoencoder: whose latents it shall decode.

    Raises:
        ValueError: naming what differs.
    """
    wanted = {
        'latent_channels': autoencoder.latent_channels,
        'downsample': autoencoder.downsample,
        'frames': autoencoder.temporal_downsample,
    }
    for name, value in wanted.items():
        if getattr(decoder, name) != value:
            raise ValueError(
                f'`decoder` must have {name} = {value} for these latents, '
                f'got {getattr(decoder, name)}'
            )


def each_frame(layer: Any, x: Tensor) -> Tensor:
    """Apply a layer of images to every frame of clips (N, C, T, h, w)."""
    frames = layer(rearrange(x, 'n c t h w -> (n t) c h w'))
    return rearrange(frames, '(n t) c h w -> n c t h w', n=len(x))


class DecoderLevel(nn.Module):
    """Residual blocks of one size, and a convolution over time after them."""

    def __init__(self, width: int, count: int, causal: bool) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(PlainBlock(width) for _ in range(count)))
        self.over_time = nn.Conv3d(width, width, (3, 1, 1))
        self.causal = causal
        for parameter in self.over_time.parameters():
            nn.init.zeros_(parameter)  # at first no frames are mixed

    def forward(self, x: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return features of the shape of `x`, and the last two frames."""
        x = each_frame(self.blocks, x)
        h = F.silu(x)
        if past is not None:
            wide = torch.cat([past, h], 2)
        else:
            around = (2, 0) if self.causal else (1, 1)
            wide = F.pad(h, (0, 0, 0, 0, *around), mode='replicate')
        return x + self.over_time(wide), wide[:, :, -2:]


class PlainBlock(nn.Module):
    """A residual block of two convolutions, without norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the shape of `x`, (n, width, h, w)."""
        return x + self.second(F.silu(self.first(F.silu(x))))


class DecoderGrowth(nn.Module):
    """Doubles the sides of frames, and their number if `doubles_time`."""

    def __init__(self, before: int, after: int, doubles_time: bool) -> None:
        super().__init__()
        self.after = nn.Conv2d(before, after, 3, padding=1)
        self.in_time = (
            nn.Conv2d(before, 2 * before, 1) if doubles_time else None
        )

    def forward(self, x: Tensor, first: bool) -> Tensor:
        """Grow features; the first frame of a clip stays one frame."""
        if self.in_time is not None:
            x = each_frame(self.in_time, x)
            x = rearrange(x, 'n (k c) t h w -> n c (t k) h w', k=2)
            x = x[:, :, 1:] if first else x
        return each_frame(self._enlarge, x)

    def _enlarge(self, x: Tensor) -> Tensor:
        return self.after(F.interpolate(x, scale_factor=2.0))


def _check_options(
    widths: Sequence[int], blocks: Sequence[int], frames: int
) -> None:
    if not widths or min(widths) < 1:
        raise ValueError(f'`widths` must be positive numbers, got {widths}')
    if len(blocks) != len(widths) or min(blocks) < 0:
        raise ValueError(
            f'`blocks` must be {len(widths)} numbers, one for each of '
            f'`widths`, got {blocks}'
        )
    largest = 2 ** (len(widths) - 1)
    if frames not in [2**n for n in range(len(widths))]:
        raise ValueError(
            f'`frames` must be a power of two from 1 to {largest}, got '
            f'{frames}'
        )
