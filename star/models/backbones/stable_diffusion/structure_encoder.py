"""The encoder of a latent's structure, which knows the timestep."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from star.models.backbones.i2vgen.encoder import dtype_of
from star.models.backbones.stable_diffusion.spade_unet import (
    embed_time,
    spread,
)
from star.models.layers.residual_block import ResidualBlock
from star.registry import MODELS


@MODELS.register_module()
class StructureEncoder(nn.Module):
    """Turns a clean latent into features for each level of `SpadeUNet`.

    Half a UNet. It takes the denoiser's timestep, since less structure is
    needed the less noise is left. Names are the official ones but within
    residual blocks. The defaults are StableSR's sizes.

    Args:
        channels: width of each level.
        layers: residual blocks of a level.
        attention_levels: levels with attention; the middle always has it.
        heads: of the attention.
        outputs: channels of the features.
        inputs: channels of a latent.

    Source: Wang et al., "StableSR", IJCV 2024, section 3.1.
    """

    def __init__(
        self,
        channels: Sequence[int] = (256, 256, 512, 512),
        layers: int = 2,
        attention_levels: Sequence[int] = (0, 1, 2),
        heads: int = 4,
        outputs: int = 256,
        inputs: int = 4,
    ) -> None:
        super().__init__()
        self.width = width = channels[0]
        size = 4 * width
        self.time_embed = nn.Sequential(
            nn.Linear(width, size), nn.SiLU(), nn.Linear(size, size)
        )
        stem = nn.Conv2d(inputs, width, 3, padding=1)
        blocks: list[list[nn.Module]] = [[stem]]
        for level, dim in enumerate(channels):
            for _ in range(layers):
                blocks.append([ResidualBlock(width, dim, size)])
                if level in attention_levels:
                    blocks[-1].append(PixelAttention(dim, heads))
                width = dim
            if level + 1 < len(channels):
                blocks.append([_Downsample(width)])
        self.input_blocks = nn.ModuleList(map(nn.ModuleList, blocks))
        self.middle_block = nn.ModuleList(
            [
                ResidualBlock(width, width, size),
                PixelAttention(width, heads),
                ResidualBlock(width, width, size),
            ]
        )
        self.fea_tran = nn.ModuleList(
            ResidualBlock(dim, outputs, size)
            for dim in (*channels[:-1], width)
        )

    def forward(self, x: Tensor, t: Tensor) -> dict[int, Tensor]:
        """Encode clean latents.

        Args:
            x: scaled latents, (N, 4, h, w).
            t: timesteps, (n,) with n a divisor of N, as for `SpadeUNet`.

        Returns:
            For each width w' the features (N, outputs, h', w'), sides halved
            from level to level, in the network's dtype.
        """
        embedding = embed_time(t, self.width).to(dtype_of(self))
        embedding = spread(self.time_embed(embedding), len(x))
        levels, h = [], x.to(dtype_of(self))
        for block in self.input_blocks:
            assert isinstance(block, nn.ModuleList)
            if isinstance(block[0], _Downsample):
                levels.append(h)
            h = _run(block, h, embedding)
        levels.append(_run(self.middle_block, h, embedding))
        outputs = [
            transform(level, embedding)
            for transform, level in zip(self.fea_tran, levels, strict=True)
        ]
        return {feature.shape[-1]: feature for feature in outputs}


class PixelAttention(nn.Module):
    """Attention of all pixels to each other, with a residual.

    Args:
        dim: channels.
        heads: a divisor of `dim`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(32, dim)
        self.qkv = nn.Conv1d(dim, 3 * dim, 1)
        self.proj_out = nn.Conv1d(dim, dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each image, (N, dim, h, w)."""
        tokens = self.norm(x).flatten(2).transpose(1, 2)
        # kernels that do not hold all scores need channels last in memory
        parts = _pointwise(self.qkv, tokens)
        # a head's query, key and value are neighbours
        parts = parts.unflatten(-1, (self.heads, 3, -1)).transpose(1, 2)
        out = F.scaled_dot_product_attention(*parts.unbind(3))
        out = _pointwise(self.proj_out, out.transpose(1, 2).flatten(2))
        return x + out.transpose(1, 2).reshape_as(x)


class _Downsample(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(dim, dim, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


def _run(block: nn.ModuleList, h: Tensor, embedding: Tensor) -> Tensor:
    for layer in block:
        has_time = isinstance(layer, ResidualBlock)
        h = layer(h, embedding) if has_time else layer(h)
    return h


def _pointwise(layer: nn.Conv1d, tokens: Tensor) -> Tensor:
    """Apply a convolution of one tap to tokens (N, L, C)."""
    return F.linear(tokens, layer.weight[..., 0], layer.bias)
