"""SeedVR2's autoencoder: a latent of four frames, which never looks ahead."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from star.models.editors.seedvr2.causal import (
    EPS,
    CausalConv3d,
    Downsampler,
    FrameAttention,
    Memory,
    ResnetBlock,
    Upsampler,
)
from star.models.layers.by_image import each
from star.models.layers.chunked_attention import ChunkedAttention
from star.registry import MODELS

SCALING = 0.9152
_RATIO = 4  # frames of a latent
# names in older files, and diffusers' of today
_OLD_NAMES = {
    '.query.': '.to_q.',
    '.key.': '.to_k.',
    '.value.': '.to_v.',
    '.proj_attn.': '.to_out.0.',
}


@MODELS.register_module()
class SeedVR2VAE(nn.Module):
    """Turns clips of 4 k + 1 frames into k + 1 latents and back.

    The first latent stands for the first frame. A clip is computed in slices
    of four frames; the convolutions remember the slice before, so that the
    result is that of the whole clip. The defaults are the published sizes.

    Attributes:
        downsample: pixels of a latent's side.
        temporal_downsample: frames of a latent.
        slices: whether clips are cut; if not, they take more memory.

    Args:
        widths: channels of the levels; all but the last halve the sides of a
            frame, and of these all but the first halve time.
        layers: residual blocks of a level of the encoder; the decoder has
            one more.
        latent_channels: of a latent.
        norm_groups: of the group norms.
    """

    temporal_downsample = _RATIO

    def __init__(
        self,
        widths: Sequence[int] = (128, 256, 512, 512),
        layers: int = 2,
        latent_channels: int = 16,
        norm_groups: int = 32,
    ) -> None:
        super().__init__()
        self.slices = True
        self.latent_channels = latent_channels
        self.downsample = 2 ** (len(widths) - 1)
        sizes = tuple(widths), layers, norm_groups
        self.encoder = _VideoEncoder(*sizes, 2 * latent_channels)
        self.decoder = _VideoDecoder(*sizes, latent_channels)

    def encode(self, x: Tensor) -> Tensor:
        """Return the moments of a clip's latents.

        Args:
            x: (1, 3, 4 k + 1, H, W) in [-1, 1], on any device, of any dtype;
                H and W are multiples of `downsample`.

        Returns:
            Mean and logarithm of the variance of the unscaled latents,
            (1, 2 C, k + 1, h, w), float32 on the network's device.
        """
        weight, memory = self.encoder.conv_in.weight, Memory()
        parts = [
            self.encoder(part.to(weight), memory).float()
            for part in self._cut(x, _RATIO)
        ]
        return torch.cat(parts, 2)

    def decode_pieces(self, z: Tensor) -> Iterator[Tensor]:
        """Decode latents, slice by slice.

        Args:
            z: unscaled latents, (1, C, k + 1, h, w), on any device.

        Yields:
            Consecutive frames, (1, 3, t, H, W) about [-1, 1], not clamped,
            float32 on the network's device.
        """
        weight, memory = self.decoder.conv_in.weight, Memory()
        for part in self._cut(z, 1):
            yield self.decoder(part.to(weight), memory).float()

    def decode(self, z: Tensor) -> Tensor:
        """Decode latents at once: (1, 3, 4 k + 1, H, W)."""
        return torch.cat(list(self.decode_pieces(z)), 2)

    def _cut(self, x: Tensor, length: int) -> Iterator[Tensor]:
        """Cut a clip; the first slice has one frame more."""
        if not self.slices:
            yield x
            return
        yield x[:, :, : length + 1]
        if x.shape[2] > length + 1:
            yield from x[:, :, length + 1 :].split(length, 2)


class _VideoEncoder(nn.Module):
    down_blocks: Any

    def __init__(
        self, widths: Sequence[int], layers: int, groups: int, outputs: int
    ) -> None:
        super().__init__()
        self.conv_in = CausalConv3d(3, widths[0])
        self.down_blocks, before = nn.ModuleList(), widths[0]
        for i, width in enumerate(widths):
            level: Any = nn.Module()
            level.resnets = _resnets(before, width, layers, groups)
            sampler = [Downsampler(width, i > 0)]
            level.downsamplers = nn.ModuleList(
                sampler if i < len(widths) - 1 else []
            )
            self.down_blocks.append(level)
            before = width
        self.mid_block = _Middle(before, groups)
        self.conv_norm_out = nn.GroupNorm(groups, before, EPS)
        self.conv_out = CausalConv3d(before, outputs)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        h = self.conv_in(x, memory)
        for level in self.down_blocks:
            for layer in (*level.resnets, *level.downsamplers):
                h = layer(h, memory)
        h = self.mid_block(h, memory)
        return self.conv_out(h, memory, self.conv_norm_out)


class _VideoDecoder(nn.Module):
    up_blocks: Any

    def __init__(
        self, widths: Sequence[int], layers: int, groups: int, inputs: int
    ) -> None:
        super().__init__()
        before = widths[-1]
        self.conv_in = CausalConv3d(inputs, before)
        self.up_blocks = nn.ModuleList()
        for i, width in enumerate(reversed(widths)):
            level: Any = nn.Module()
            level.resnets = _resnets(before, width, layers + 1, groups)
            last = i == len(widths) - 1
            sampler = [] if last else [Upsampler(width, i < len(widths) - 2)]
            level.upsamplers = nn.ModuleList(sampler)
            self.up_blocks.append(level)
            before = width
        self.mid_block = _Middle(widths[-1], groups)
        self.conv_norm_out = nn.GroupNorm(groups, before, EPS)
        self.conv_out = CausalConv3d(before, 3)

    def forward(self, z: Tensor, memory: Memory) -> Tensor:
        h = self.mid_block(self.conv_in(z, memory), memory)
        for level in self.up_blocks:
            for layer in (*level.resnets, *level.upsamplers):
                h = layer(h, memory)
        return self.conv_out(h, memory, self.conv_norm_out)


class _Middle(nn.Module):
    def __init__(self, dim: int, groups: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([FrameAttention(dim, groups)])
        self.resnets = _resnets(dim, dim, 2, groups)
        self.attend = ChunkedAttention()

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        first, second = self.resnets
        frames = first(x, memory)[0].transpose(0, 1)
        mixed = each(lambda y: self.attend(self.attentions[0], y), frames)
        return second(mixed.transpose(0, 1)[None], memory)


def _resnets(
    before: int, width: int, count: int, groups: int
) -> nn.ModuleList:
    return nn.ModuleList(
        ResnetBlock(before if i == 0 else width, width, groups)
        for i in range(count)
    )


def rename_old(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate older names of the attention's layers."""
    found = {}
    for name, tensor in state.items():
        if '.attentions.' in name:
            for old, new in _OLD_NAMES.items():
                name = name.replace(old, new)
        found[name] = tensor
    return found
