"""ReAE: SwiftVR's light autoencoder, which codes frames as they come.

It has 2-D convolutions only. Blocks see the frame before through their own
input, which is kept from call to call, so a clip can be cut anywhere between
groups of four frames.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.registry import MODELS

GROUP = 4  # frames of a latent
DOWNSAMPLE = 16
LAG = 3  # decoded frames that have no input: the first ones of a clip
# latents before its own that a latent, or a decoded frame, depends on: six
# blocks see one latent back each, and three half of one
REACH = 8
_PATCH = 2  # side of the squares of pixels that become channels
_PIXELS = 3 * _PATCH**2
_DIM = 64
_LIMIT = 3.0  # of latents before they are decoded

Memory = list[Tensor]  # of each block, the input of its newest frame


class PreviousFrameBlock(nn.Module):
    """Mixes each frame with the one before, in a residual.

    Args:
        dim: channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(2 * dim, dim, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(dim, dim, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(dim, dim, 3, padding=1),
        )

    def forward(
        self, x: Tensor, before: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Mix consecutive frames.

        Args:
            x: (t, C, h, w).
            before: `x` of the frame before, (1, C, h, w); None for zeros.

        Returns:
            Frames like `x`, and `before` of the next call.
        """
        if before is None:
            before = torch.zeros_like(x[:1])
        earlier = torch.cat([before, x[:-1]])
        out = self.conv(torch.cat([x, earlier], 1)).add_(x)
        return F.relu_(out), x[-1:].clone()


class PoolFrames(nn.Module):
    """Makes one frame of several.

    Args:
        dim: channels.
        count: frames that become one.
    """

    def __init__(self, dim: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.conv = nn.Conv2d(count * dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Pool (t, C, h, w) to (t / count, C, h, w)."""
        return self.conv(x.reshape(-1, self.count * x.shape[1], *x.shape[2:]))


class ProjectFrames(nn.Module):
    """Mixes the channels of each frame.

    Args:
        dim: channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Project (t, C, h, w)."""
        return self.proj(x)


class DoubleFrames(nn.Module):
    """Makes two frames of each.

    A frame comes twice and passes a convolution over time of three, within
    the pair and with zeros around. So both are projections of one frame.

    Args:
        dim: channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(dim, dim, (3, 1, 1), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Double (t, C, h, w) to (2 t, C, h, w)."""
        first, middle, last = self.conv3d.weight.unbind(2)
        pair = [F.conv2d(x, w) for w in (middle + last, first + middle)]
        return torch.stack(pair, 1).flatten(0, 1)


@MODELS.register_module()
class ReAE(nn.Module):
    """Codes frames of [0, 1] as latents: 1/16 in space, 1/4 in time.

    It has no posterior and no scaling of latents. 40,946,364 parameters at
    the released sizes.

    Args:
        latent_channels: of a latent.
        dims: channels of the decoder's stages.
    """

    def __init__(
        self,
        latent_channels: int = 48,
        dims: Sequence[int] = (512, 256, 128),
    ) -> None:
        super().__init__()
        self.latent_channels = latent_channels
        self.encoder = nn.ModuleList(_encoder(latent_channels))
        self.decoder = nn.ModuleList(_decoder(latent_channels, list(dims)))

    def encode(
        self, frames: Tensor, memory: Memory | None
    ) -> tuple[Tensor, Memory]:
        """Encode the next frames of a clip.

        Args:
            frames: (4 k, 3, H, W) RGB in [0, 1], H and W multiples of 16.
            memory: as the call before returned it; None for the first.

        Returns:
            Latents (k, C, H / 16, W / 16), and the memory of the next call.
        """
        return _run(self.encoder, F.pixel_unshuffle(frames, _PATCH), memory)

    def decode(
        self, z: Tensor, memory: Memory | None
    ) -> tuple[Tensor, Memory]:
        """Decode the next latents of a clip.

        Args:
            z: (k, C, h, w).
            memory: as for `encode`.

        Returns:
            Frames (4 k, 3, 16 h, 16 w) in [0, 1], and the memory. The first
            `LAG` frames of a clip are to be dropped.
        """
        out, memory = self.decode_raw(z, memory)
        return F.pixel_shuffle(out.clamp_(0, 1), _PATCH), memory

    def decode_raw(
        self, z: Tensor, memory: Memory | None
    ) -> tuple[Tensor, Memory]:
        """Decode to (4 k, 12, 8 h, 8 w), neither clamped nor shuffled."""
        return _run(self.decoder, _LIMIT * torch.tanh(z / _LIMIT), memory)


def _run(
    layers: nn.ModuleList, x: Tensor, memory: Memory | None
) -> tuple[Tensor, Memory]:
    """Pass frames through layers, with the memory of the blocks."""
    kept: Memory = []
    for layer in layers:
        if isinstance(layer, PreviousFrameBlock):
            before = memory[len(kept)] if memory else None
            x, newest = layer(x, before)
            kept.append(newest)
        else:
            x = layer(x)
    return x, kept


def _blocks(dim: int) -> list[nn.Module]:
    return [PreviousFrameBlock(dim) for _ in range(3)]


def _convolution(dim: int, out: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(dim, out, 3, stride, padding=1, bias=False)


def _encoder(channels: int) -> list[nn.Module]:
    layers: list[nn.Module] = [
        nn.Conv2d(_PIXELS, _DIM, 3, padding=1),
        nn.ReLU(inplace=True),
    ]
    for count in (2, 2, 1):
        layers += [PoolFrames(_DIM, count), _convolution(_DIM, _DIM, 2)]
        layers += _blocks(_DIM)
    return [*layers, nn.Conv2d(_DIM, channels, 3, padding=1)]


def _decoder(channels: int, dims: list[int]) -> list[nn.Module]:
    layers: list[nn.Module] = [
        nn.Identity(),  # the limit of latents, in the authors' file
        nn.Conv2d(channels, dims[0], 3, padding=1),
        nn.ReLU(inplace=True),
    ]
    for stage, (dim, out) in enumerate(
        zip(dims, [*dims[1:], _DIM], strict=True)
    ):
        grow = DoubleFrames(dim) if stage else ProjectFrames(dim)
        layers += _blocks(dim)
        layers += [nn.Upsample(scale_factor=2), grow, _convolution(dim, out)]
    last = nn.Conv2d(_DIM, _PIXELS, 3, padding=1)
    return [*layers, nn.ReLU(inplace=True), last]
