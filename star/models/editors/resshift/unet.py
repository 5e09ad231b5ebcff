"""ResShift's UNet: residual blocks and Swin layers, under official names."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.editors.resshift.swin import ShiftedLayer, SwinSizes
from star.registry import MODELS

_GROUPS = 32
_LQ_WIDTHS = (16, 32)  # of the convolutions that halve a larger input


class ResShiftBlock(nn.Module):
    """A residual block whose second norm is scaled and shifted by the time.

    Args:
        channels: of the input.
        width: channels of the output.
        embedding: width of the embedded time.
    """

    def __init__(self, channels: int, width: int, embedding: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, channels),
            nn.SiLU(),
            nn.Conv2d(channels, width, 3, padding=1),
        )
        self.emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(embedding, 2 * width)
        )
        self.out_layers = nn.Sequential(
            nn.GroupNorm(_GROUPS, width),
            nn.SiLU(),
            nn.Identity(),  # the names count a dropout
            nn.Conv2d(width, width, 3, padding=1),
        )
        self.skip_connection: nn.Module = nn.Identity()
        if channels != width:
            self.skip_connection = nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map (N, channels, H, W) and (N, embedding) to (N, width, H, W)."""
        scale, shift = self.emb_layers(emb)[..., None, None].chunk(2, 1)
        norm, *rest = self.out_layers
        h = norm(self.in_layers(x)) * (1 + scale) + shift
        for layer in rest:
            h = layer(h)
        return self.skip_connection(x) + h


class HalvingConv(nn.Module):
    """A convolution that halves both sides.

    Args:
        channels: of the input.
        width: channels of the output; None for as many.
    """

    def __init__(self, channels: int, width: int | None = None) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, width or channels, 3, 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, channels, H, W) to (N, width, H / 2, W / 2)."""
        return self.op(x)


class DoublingConv(nn.Module):
    """A convolution of what was enlarged by repetition.

    Args:
        channels: of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2 H, 2 W)."""
        return self.conv(F.interpolate(x, scale_factor=2, mode='nearest'))


class UNetEntry(nn.ModuleList):
    """One entry of the UNet's lists: layers, some of which take the time."""

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Run the layers on (N, C, H, W) and (N, embedding)."""
        for layer in self:
            timed = isinstance(layer, ResShiftBlock)
            x = layer(x, emb) if timed else layer(x)
        return x


@dataclass(frozen=True)
class _Level:
    """One size that the UNet works at.

    Args:
        width: channels.
        count: residual blocks on the way down.
        side: of the feature map that the network was designed for.
        embedding: width of the embedded time.
    """

    width: int
    count: int
    side: int
    embedding: int

    def block(self, channels: int) -> ResShiftBlock:
        """Make a residual block from `channels` to the level's width."""
        return ResShiftBlock(channels, self.width, self.embedding)

    def mixing(self, sizes: SwinSizes | None) -> list[nn.Module]:
        """Make the level's Swin layer, if it has one."""
        if sizes is None:
            return []
        return [ShiftedLayer(self.width, sizes, self.side)]


@MODELS.register_module()
class ResShiftUNet(nn.Module):
    """Predicts a sharp latent from a noisy one and the low-quality picture.

    The defaults are the published ones of all versions. Named as in the
    published files, which hold two kinds of buffers besides: these are
    derived here.

    Args:
        image_size: side of the latents that the network was designed for; it
            decides where windows shift. Any other size works as well.
        model_channels: width of the finest level.
        channel_mult: width of each level over that.
        num_res_blocks: residual blocks of each level.
        attention_resolutions: sides, of latents of `image_size`, at which a
            level has Swin layers.
        swin: fields of `SwinSizes` that differ from its own.
        lq_size: side of the low-quality picture that belongs to latents of
            `image_size`: as much, or twice as much.
        latent_channels: of the latents.

    Attributes:
        size_multiple: the sides of latents are multiples of it.
        lq_factor: side of the picture over that of the latents, 1 or 2.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self,
        image_size: int = 64,
        model_channels: int = 160,
        channel_mult: Sequence[int] = (1, 2, 2, 4),
        num_res_blocks: Sequence[int] = (2, 2, 2, 2),
        attention_resolutions: Sequence[int] = (64, 32, 16, 8),
        swin: Mapping[str, Any] | None = None,
        lq_size: int = 64,
        latent_channels: int = 3,
    ) -> None:
        super().__init__()
        _check_sizes(image_size, lq_size, channel_mult, num_res_blocks)
        sizes = SwinSizes(**(swin or {}))
        levels = [
            _Level(model_channels * factor, count, side, 4 * model_channels)
            for factor, count, side in zip(
                channel_mult,
                num_res_blocks,
                (image_size >> i for i in range(len(channel_mult))),
                strict=True,
            )
        ]
        self.model_channels = model_channels
        self.latent_channels = latent_channels
        self.lq_factor = lq_size // image_size
        self.size_multiple = math.lcm(
            *(min(sizes.window, x.side) << i for i, x in enumerate(levels))
        )
        first, last = levels[0], levels[-1]
        self.time_embed = nn.Sequential(
            nn.Linear(model_channels, first.embedding),
            nn.SiLU(),
            nn.Linear(first.embedding, first.embedding),
        )
        self.feature_extractor, lq_width = _lq_encoder(self.lq_factor)
        mixed = [x.side in attention_resolutions for x in levels]
        swins = [sizes if wanted else None for wanted in mixed]
        entries, kept = _input_entries(
            latent_channels + lq_width, levels, swins
        )
        self.input_blocks = nn.ModuleList(entries)
        self.middle_block = UNetEntry(
            [
                last.block(last.width),
                ShiftedLayer(last.width, sizes, last.side),
                last.block(last.width),
            ]
        )
        self.output_blocks = nn.ModuleList(
            _output_entries(kept, levels, swins)
        )
        self.out = nn.Sequential(
            nn.GroupNorm(_GROUPS, first.width),
            nn.SiLU(),
            nn.Conv2d(first.width, latent_channels, 3, padding=1),
        )

    def forward(self, x: Tensor, lq: Tensor, t: Tensor) -> Tensor:
        """Predict x0.

        Args:
            x: scaled noisy latents, (N, latent_channels, H, W); the sides
                are multiples of `size_multiple`.
            lq: low-quality picture in [-1, 1], (N, 3, H, W) or twice as
                large.
            t: steps, (N,) int64 from 0.

        Returns:
            (N, latent_channels, H, W).
        """
        emb = self.time_embed(embed_steps(t, self.model_channels).to(x))
        h = torch.cat([x, self.feature_extractor(lq)], 1)
        kept = []
        for entry in self.input_blocks:
            h = entry(h, emb)
            kept.append(h)
        h = self.middle_block(h, emb)
        for entry in self.output_blocks:
            h = entry(torch.cat([h, kept.pop()], 1), emb)
        return self.out(h)


def embed_steps(t: Tensor, width: int) -> Tensor:
    """Embed numbers of steps as waves, cosines first.

    Args:
        t: (N,) int64.
        width: of the embedding, even.

    Returns:
        (N, width) float32 with the frequencies 10000^(-i / (width / 2)).
    """
    half = width // 2
    powers = torch.arange(half, dtype=torch.float32, device=t.device) / half
    angles = t[:, None].float() * torch.exp(-math.log(10000) * powers)
    return torch.cat([angles.cos(), angles.sin()], 1)


def _input_entries(
    channels: int, levels: list[_Level], swins: list[SwinSizes | None]
) -> tuple[list[UNetEntry], list[int]]:
    """Make the entries on the way down, and the widths of their results."""
    width = levels[0].width
    entries = [UNetEntry([nn.Conv2d(channels, width, 3, padding=1)])]
    kept = [width]
    for level, sizes in zip(levels, swins, strict=True):
        for i in range(level.count):
            mixing = [] if i else level.mixing(sizes)
            entries.append(UNetEntry([level.block(width), *mixing]))
            width = level.width
            kept.append(width)
        if level is not levels[-1]:
            entries.append(UNetEntry([HalvingConv(width)]))
            kept.append(width)
    return entries, kept


def _output_entries(
    kept: list[int], levels: list[_Level], swins: list[SwinSizes | None]
) -> list[UNetEntry]:
    """Make the entries on the way up, which take the kept results."""
    entries, kept = [], [*kept]
    width = levels[-1].width
    for level, sizes in reversed([*zip(levels, swins, strict=True)]):
        for i in range(level.count + 1):
            layers: list[nn.Module] = [level.block(width + kept.pop())]
            width = level.width
            layers += [] if i else level.mixing(sizes)
            if i == level.count and level is not levels[0]:
                layers.append(DoublingConv(width))
            entries.append(UNetEntry(layers))
    return entries


def _lq_encoder(factor: int) -> tuple[nn.Module, int]:
    """Make what brings the picture to the latents' size, and its width."""
    if factor == 1:
        return nn.Identity(), 3
    first, second = _LQ_WIDTHS
    layers = (
        nn.Conv2d(3, first, 3, padding=1),
        nn.SiLU(),
        HalvingConv(first, second),
    )
    return nn.Sequential(*layers), second


def _check_sizes(
    image_size: int,
    lq_size: int,
    channel_mult: Sequence[int],
    num_res_blocks: Sequence[int],
) -> None:
    if lq_size not in (image_size, 2 * image_size):
        raise ValueError(
            f'`lq_size` must be `image_size` ({image_size}) or twice as much, '
            f'got {lq_size}'
        )
    if len(channel_mult) != len(num_res_blocks) or not channel_mult:
        raise ValueError(
            '`channel_mult` and `num_res_blocks` must have one number for '
            f'each level, got {channel_mult} and {num_res_blocks}'
        )
