"""The half of the I2VGen-XL UNet that backbone and ControlNet share."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from star.models.backbones.i2vgen.blocks import (
    NUM_GROUPS,
    ResBlock,
    SpatialTransformer,
    TemporalTransformer,
    TextKeysValues,
    UNetDownsample,
    UNetUpsample,
    per_frame,
)
from star.models.layers.product import ProductLinear
from star.models.layers.step_memory import StepMemory

ProjectedText = list[TextKeysValues]


@dataclass(frozen=True)
class UNetSizes:
    """Sizes of the UNet; the defaults are the official ones.

    Attributes:
        dim: channels of the finest level, a multiple of 32.
        dim_mult: channels of each level over `dim`, the finest first.
        num_res_blocks: blocks per level of the encoder; the decoder has one
            more.
        head_dim: channels of an attention head.
        num_heads: heads of the first temporal transformer, which is
            `num_heads * head_dim` wide.
        context_dim: channels of the text embedding.
        attn_levels: number of levels with attention, the finest first; the
            middle block always has it.
        norm_groups: groups of every GroupNorm; a narrow network needs fewer
            than the official 32, for a group of one or two channels forgets
            how bright a clip is.
        time_padding: of temporal convolutions at a clip's ends, 'zeros' or
            'replicate'. The published networks were trained with zeros; with
            'replicate' all frames of a still clip are treated alike.
        in_dim: as for `I2VGenUNet`, like the three that follow.
        dropout: see `in_dim`.
        liem: see `in_dim`.
        checkpointing: see `in_dim`.

    Raises:
        ValueError: channels that do not divide into groups or heads.
    """

    dim: int = 320
    dim_mult: Sequence[int] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    head_dim: int = 64
    num_heads: int = 8
    context_dim: int = 1024
    attn_levels: int = 3
    norm_groups: int = NUM_GROUPS
    time_padding: str = 'zeros'
    in_dim: int = 4
    dropout: float = 0.1
    liem: Mapping | None = None
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.dim % 32:
            raise ValueError(f'`dim` must be 32 k, got {self.dim}')
        if self.dim % self.head_dim:
            raise ValueError(
                f'`dim` must be a multiple of `head_dim`, got {self.dim} and '
                f'{self.head_dim}'
            )

    @property
    def embed_dim(self) -> int:
        """Channels of the time embedding."""
        return 4 * self.dim

    @property
    def dims(self) -> list[int]:
        """Channels of each level, the finest first."""
        return [self.dim * mult for mult in self.dim_mult]

    @property
    def multiple(self) -> tuple[int, int]:
        """Height and width of a latent are multiples of it plus `remainder`.

        `UNetDownsample` adds a row that `UNetUpsample` cuts: a height returns
        to itself only if it is 2 above a multiple.
        """
        factor = 2 ** (len(self.dim_mult) - 1)
        return factor, factor

    @property
    def remainder(self) -> tuple[int, int]:
        """Remainder of a latent's height and width by `multiple`."""
        return 2 % self.multiple[0], 0


class UNetBlock(nn.Module):
    """A ResBlock, transformers on the finer levels, maybe an upsampling.

    Args:
        sizes: of the network.
        in_dim: input channels.
        level: 0 for the finest.
        up: end with an upsampling.
    """

    def __init__(
        self, sizes: UNetSizes, in_dim: int, level: int, up: bool = False
    ) -> None:
        super().__init__()
        dim = sizes.dims[level]
        self.checkpointing = sizes.checkpointing
        self.res = ResBlock(in_dim, dim, sizes.embed_dim, sizes.dropout)
        self.spatial = self.temporal = None
        if level < sizes.attn_levels:
            self.spatial = _spatial(sizes, dim)
            self.temporal = _temporal(sizes, dim)
        self.up = UNetUpsample(dim) if up else None

    def forward(
        self, x: Tensor, embed: Tensor, text: Iterator[TextKeysValues]
    ) -> Tensor:
        """Transform a clip.

        Args:
            x: (N, T, H, W, C).
            embed: time embedding after SiLU, (N, E).
            text: gives the keys and values of the next spatial transformer.
        """
        now = next(text) if self.spatial is not None else None
        return run(self._forward, self.checkpointing, x, embed, now)

    def _forward(
        self, x: Tensor, embed: Tensor, text: TextKeysValues | None
    ) -> Tensor:
        x = self.res(x, embed)
        if self.spatial is not None and self.temporal is not None:
            x = self.temporal(self.spatial(x, text))
        return x if self.up is None else self.up(x)


class MiddleBlock(nn.Module):
    """ResBlock, transformers, ResBlock on the coarsest level."""

    def __init__(self, sizes: UNetSizes) -> None:
        super().__init__()
        dim = sizes.dims[-1]
        self.checkpointing = sizes.checkpointing
        self.res1 = ResBlock(dim, dim, sizes.embed_dim, sizes.dropout)
        self.spatial = _spatial(sizes, dim)
        self.temporal = _temporal(sizes, dim)
        self.res2 = ResBlock(dim, dim, sizes.embed_dim, sizes.dropout)

    def forward(
        self, x: Tensor, embed: Tensor, text: Iterator[TextKeysValues]
    ) -> Tensor:
        """Transform a clip; arguments as of `UNetBlock`."""
        return run(self._forward, self.checkpointing, x, embed, next(text))

    def _forward(
        self, x: Tensor, embed: Tensor, text: TextKeysValues
    ) -> Tensor:
        x = self.temporal(self.spatial(self.res1(x, embed), text))
        return self.res2(x, embed)


class InputBlock(nn.Module):
    """First convolution and a temporal transformer of its own width."""

    def __init__(self, sizes: UNetSizes) -> None:
        super().__init__()
        inner = sizes.num_heads * sizes.head_dim
        self.conv = nn.Conv2d(sizes.in_dim, sizes.dim, 3, padding=1)
        self.temporal = TemporalTransformer(
            sizes.dim, inner, sizes.head_dim, sizes.liem
        )
        self.checkpointing = sizes.checkpointing

    def forward(self, z: Tensor, hint: Tensor | None) -> Tensor:
        """Embed latents (N, T, H, W, in_dim), plus a hint of the result."""
        x = per_frame(self.conv, z)
        if hint is not None:
            x = x + hint
        return run(self.temporal, self.checkpointing, x)


class UNetEncoder(nn.Module):
    """Time embedding, input blocks and middle block.

    `input_blocks` counts as the official network does, so that block i gives
    residual i.

    Args:
        sizes: of the network.
    """

    def __init__(self, sizes: UNetSizes) -> None:
        super().__init__()
        # a plain dictionary can be copied with the network
        liem = None if sizes.liem is None else dict(sizes.liem)
        self.sizes = replace(sizes, liem=liem)
        self.time_embed = nn.Sequential(
            ProductLinear(sizes.dim, sizes.embed_dim),
            nn.SiLU(),
            ProductLinear(sizes.embed_dim, sizes.embed_dim),
        )
        self.input_blocks = nn.ModuleList([InputBlock(sizes)])
        self.skip_dims = [sizes.dim]
        for level, dim in enumerate(sizes.dims):
            for _ in range(sizes.num_res_blocks):
                block = UNetBlock(sizes, self.skip_dims[-1], level)
                self.input_blocks.append(block)
                self.skip_dims.append(dim)
            if level < len(sizes.dims) - 1:
                self.input_blocks.append(UNetDownsample(dim))
                self.skip_dims.append(dim)
        self.middle_block = MiddleBlock(sizes)

    def embed(self, t: Tensor) -> Tensor:
        """Embed timesteps (N,) as (N, E), after the SiLU of every block."""
        sinusoid = time_sinusoid(t, self.sizes.dim)
        return F.silu(self.time_embed(sinusoid.to(dtype_of(self))))

    def forward(
        self,
        z: Tensor,
        embed: Tensor,
        text: Iterator[TextKeysValues],
        hint: Tensor | None = None,
        memory: StepMemory | None = None,
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Encode latents.

        Args:
            z: (N, T, H, W, in_dim).
            embed: from `embed`, (N, E).
            text: keys and values of each spatial transformer, in order.
            hint: added after the first convolution, (N, T, H, W, dim).
            memory: of earlier steps, or None.

        Returns:
            The middle block's output and every input block's, all
            (N, T, h, w, C). If deep features are taken from `memory`: None,
            and the first input block's alone.
        """
        x = self.input_blocks[0](z, hint)
        outputs = [x]
        if memory is not None and memory.decide(x):
            return None, outputs
        for block in self.input_blocks[1:]:
            if isinstance(block, UNetDownsample):
                x = block(x)
            else:
                x = block(x, embed, text)
            outputs.append(x)
        return self.middle_block(x, embed, text), outputs


def time_sinusoid(t: Tensor, dim: int) -> Tensor:
    """Embed timesteps as cosines, then sines, in float32.

    Args:
        t: timesteps, (N,).
        dim: even number of channels.

    Returns:
        (N, dim) float32.
    """
    half = dim // 2
    exponent = torch.arange(half, device=t.device, dtype=torch.float32) / half
    angles = t.float()[:, None] * torch.exp(-math.log(10000) * exponent)
    return torch.cat([angles.cos(), angles.sin()], -1)


def to_channels_last(z: Tensor, layer: nn.Module) -> Tensor:
    """Turn latents (N, C, T, H, W) to (N, T, H, W, C) of a layer's dtype."""
    z = z.to(dtype_of(layer))
    return rearrange(z, 'n c t h w -> n t h w c').contiguous()


def dtype_of(module: nn.Module) -> torch.dtype:
    """Return the dtype of a module's parameters."""
    return next(module.parameters()).dtype


def project_text(network: nn.Module, text: Tensor) -> ProjectedText:
    """Compute keys and values of the text for every spatial transformer.

    Args:
        network: holds the transformers in the order it calls them.
        text: embeddings, (N, L, D).
    """
    return [
        module.attn2.project_text(text)
        for module in network.modules()
        if isinstance(module, SpatialTransformer)
    ]


def check_latent(z: Tensor, sizes: UNetSizes) -> None:
    """Refuse latents of a shape that the network cannot take.

    Raises:
        ValueError: naming the rule.
    """
    if z.ndim != 5 or z.shape[1] != sizes.in_dim:
        raise ValueError(
            f'latents must be (N, {sizes.in_dim}, T, H, W), '
            f'got {tuple(z.shape)}'
        )
    names = ('height', 'width')
    rules = zip(
        names, z.shape[3:], sizes.multiple, sizes.remainder, strict=True
    )
    for name, side, multiple, remainder in rules:
        if side % multiple != remainder or side < multiple:
            raise ValueError(
                f'latent {name} must be {multiple} k + {remainder}, got {side}'
            )


def run(
    function: Callable[..., Tensor], checkpointing: bool, *inputs: object
) -> Tensor:
    """Call a function; with checkpointing the backward pass repeats it."""
    if checkpointing and torch.is_grad_enabled():
        return checkpoint(function, *inputs, use_reentrant=False)
    return function(*inputs)


def _spatial(sizes: UNetSizes, dim: int) -> SpatialTransformer:
    return SpatialTransformer(
        dim, sizes.head_dim, sizes.context_dim, sizes.liem
    )


def _temporal(sizes: UNetSizes, dim: int) -> TemporalTransformer:
    return TemporalTransformer(dim, dim, sizes.head_dim, sizes.liem)
