"""ResShift's Swin layers, whose masks and shifts are its own."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_GROUPS = 32
_MASKED = -100.0


@dataclass(frozen=True)
class SwinSizes:
    """Sizes of Swin layers; the defaults are the published ones.

    Args:
        width: channels within a layer.
        heads: of the attention.
        depth: blocks of a layer; every second one shifts its windows.
        window: side of a window.
        mlp_ratio: width of the feed-forward networks over `width`.
    """

    width: int = 192
    heads: int = 6
    depth: int = 2
    window: int = 8
    mlp_ratio: int = 4


class ShiftedLayer(nn.Module):
    """Swin blocks between two 1x1 convolutions, without a residual.

    Named as in the published file.

    Args:
        channels: of the features.
        sizes: of the layer.
        side: of the feature map that the network was designed for. If it is
            no longer than the window, it is the window, and no block shifts,
            whatever the size of the actual map.
    """

    def __init__(self, channels: int, sizes: SwinSizes, side: int) -> None:
        super().__init__()
        window = min(sizes.window, side)
        shift = window // 2 if side > sizes.window else 0
        self.patch_embed = PointProjection(channels, sizes.width)
        self.patch_unembed = PointProjection(sizes.width, channels)
        self.blocks = nn.Sequential(
            *[
                ShiftedBlock(sizes, window, shift * (i % 2))
                for i in range(sizes.depth)
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Mix features (N, C, H, W); H and W are multiples of the window."""
        return self.patch_unembed(self.blocks(self.patch_embed(x)))


class PointProjection(nn.Module):
    """A 1x1 convolution under the name `proj`.

    Args:
        channels: of the input.
        width: channels of the output.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Project (N, channels, H, W) to (N, width, H, W)."""
        return self.proj(x)


class PointMLP(nn.Module):
    """A feed-forward network of 1x1 convolutions.

    Args:
        width: of input and output.
        hidden: channels between.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(width, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return self.fc2(F.gelu(self.fc1(x)))


class ShiftedBlock(nn.Module):
    """Attention within windows, then a feed-forward network.

    The norms take the whole map, unlike Swin's.

    Args:
        sizes: of the layer.
        window: side of a window.
        shift: rows and columns by which the windows are moved, < `window`.
    """

    def __init__(self, sizes: SwinSizes, window: int, shift: int) -> None:
        super().__init__()
        width = sizes.width
        self.window, self.shift = window, shift
        self.norm1 = nn.GroupNorm(_GROUPS, width)
        self.attn = BiasedAttention(width, sizes.heads, window)
        self.norm2 = nn.GroupNorm(_GROUPS, width)
        self.mlp = PointMLP(width, sizes.mlp_ratio * width)

    def forward(self, x: Tensor) -> Tensor:
        """Mix features (N, width, H, W); the sides are multiples of it."""
        x = x + self._attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: Tensor) -> Tensor:
        rows = x.shape[-2] // self.window
        tokens = self._cut(x.roll((-self.shift, -self.shift), (-2, -1)))
        if self.shift:
            # only the last row of windows has a mask, and no column
            upper, last = tokens.split([rows - 1, 1], 1)
            mask = column_mask(self.window, self.shift).to(x)
            parts = [self.attn(upper)] if rows > 1 else []
            tokens = torch.cat([*parts, self.attn(last, mask)], 1)
        else:
            tokens = self.attn(tokens)
        return self._join(tokens).roll((self.shift, self.shift), (-2, -1))

    def _cut(self, x: Tensor) -> Tensor:
        """Cut (N, C, H, W) into windows (N, rows, columns, tokens, C)."""
        side = self.window
        x = x.unflatten(3, (-1, side)).unflatten(2, (-1, side))
        return x.permute(0, 2, 4, 3, 5, 1).flatten(3, 4)

    def _join(self, tokens: Tensor) -> Tensor:
        """Join windows (N, rows, columns, tokens, C) to (N, C, H, W)."""
        x = tokens.unflatten(3, (self.window, self.window))
        return x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


class BiasedAttention(nn.Module):
    """Attention within windows with a bias for each relative position.

    Args:
        width: of a token.
        heads: of the attention.
        window: side of a window.
    """

    index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        table = torch.zeros((2 * window - 1) ** 2, heads)
        self.relative_position_bias_table = nn.Parameter(table)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.register_buffer('index', relative_index(window), persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend within each window.

        Args:
            x: (N, rows, columns, L, width) with L tokens of a window.
            mask: (L, L), added to the scores; None for none.

        Returns:
            The same shape.
        """
        tokens = x.flatten(0, 2)
        qkv = self.qkv(tokens).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.index].permute(2, 0, 1)
        if mask is not None:
            bias = bias + mask
        mixed = F.scaled_dot_product_attention(q, k, v, bias.unsqueeze(0))
        return self.proj(mixed.transpose(1, 2).flatten(2)).view(x.shape)


def relative_index(window: int) -> Tensor:
    """Return the row of the bias table for each pair of tokens.

    Args:
        window: side of a window; its tokens are counted row by row.

    Returns:
        (window^2, window^2) int64 for query and key.
    """
    steps = torch.arange(window)
    places = torch.cartesian_prod(steps, steps)
    dy, dx = (places[:, None] - places[None] + window - 1).unbind(-1)
    return dy * (2 * window - 1) + dx


def column_mask(window: int, shift: int) -> Tensor:
    """Make the mask of the windows of the last row.

    Swin forbids attention across the lower edge, where rows meet that are
    none. Here it is forbidden between the left and the right columns, and
    not at all in the last column of windows: the published weights were
    trained so.

    Args:
        window: side of a window.
        shift: rows and columns by which the windows are moved.

    Returns:
        (window^2, window^2) float32: 0, or -100 between the two halves.
    """
    right = torch.arange(window**2) % window >= window - shift
    return torch.where(right[:, None] != right[None], _MASKED, 0.0)
