"""Blocks of RealViformer: attention across channels, not across pixels."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ChannelNorm(nn.Module):
    """Divides each pixel by its channels' deviation; no mean, no bias.

    Args:
        dim: channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        # a level of the published names
        self.body = nn.ParameterDict({'weight': torch.ones(dim)})

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, h, w)."""
        # x.var(1) takes ten times as long on a CPU
        dtype = torch.promote_types(x.dtype, torch.float32)
        offset = x - x.mean(1, keepdim=True, dtype=dtype)
        variance = offset.square_().mean(1, keepdim=True)
        spread = (variance + 1e-5).rsqrt().to(x.dtype)
        return x * spread * self.body['weight'][:, None, None]


class GatedFeedForward(nn.Module):
    """Two branches, one gates the other (Restormer's GDFN).

    Args:
        dim: channels in and out.
        expansion: width of a branch over `dim`.
    """

    def __init__(self, dim: int, expansion: float) -> None:
        super().__init__()
        hidden = int(dim * expansion)
        self.project_in = nn.Conv2d(dim, 2 * hidden, 1, bias=False)
        self.dwconv = depthwise(2 * hidden)
        self.project_out = nn.Conv2d(hidden, dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to the same shape."""
        gate, value = self.dwconv(self.project_in(x)).chunk(2, dim=1)
        return self.project_out(F.gelu(gate) * value)


class ChannelAttention(nn.Module):
    """Attention of channels to one another (Restormer's MDTA), weighed.

    The weight of a channel comes from the largest and the mean of its logits:
    channels that resemble no other count less.

    Args:
        dim: channels.
        heads: groups of channels that do not see one another.
        weighed: whether there are weights.
    """

    def __init__(self, dim: int, heads: int, weighed: bool) -> None:
        super().__init__()
        self.weighed = weighed
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(dim, 3 * dim, 1, bias=False)
        self.qkv_dwconv = depthwise(3 * dim)
        self.project_out = nn.Conv2d(dim, dim, 1, bias=False)
        if weighed:
            size = dim // heads
            self.linear1 = nn.Linear(2, 1, bias=False)
            self.linear2 = nn.Linear(size, size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to the same shape."""
        q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        logits, v = channel_logits(q, k, v, self.temperature)
        out = logits.softmax(-1) @ v
        if self.weighed:
            out = out * self._weights(logits)
        return self.project_out(out.reshape(x.shape))

    def _weights(self, logits: Tensor) -> Tensor:
        """Map (N, heads, c, c) to (N, heads, c, 1), in (0, 1)."""
        pooled = torch.stack([logits.amax(-1), logits.mean(-1)], dim=-1)
        hidden = F.gelu(self.linear1(pooled)).squeeze(-1)
        return self.linear2(hidden).sigmoid().unsqueeze(-1)


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward network, each with a residual.

    Args:
        dim: channels.
        heads: of the attention.
        expansion: of the feed-forward network.
        squeeze: attention has `dim` / `squeeze` channels; with 1 there are
            neither convolutions around it nor weights in it.
    """

    def __init__(
        self, dim: int, heads: int, expansion: float, squeeze: int
    ) -> None:
        super().__init__()
        inner = dim // squeeze
        self.squeezed = squeeze > 1
        self.norm1 = ChannelNorm(inner)
        self.attn = ChannelAttention(inner, heads, weighed=self.squeezed)
        self.norm2 = ChannelNorm(dim)
        self.ffn = GatedFeedForward(dim, expansion)
        if self.squeezed:
            self.compress = nn.Conv2d(dim, inner, 3, padding=1, bias=False)
            self.expand = nn.Conv2d(inner, dim, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to the same shape."""
        inner = self.compress(x) if self.squeezed else x
        inner = self.attn(self.norm1(inner))
        x = x + (self.expand(inner) if self.squeezed else inner)
        return x + self.ffn(self.norm2(x))


class CrossAttention(nn.Module):
    """Attention of the channels of one tensor to those of another.

    Args:
        dim: channels of both.
        heads: groups of channels that do not see one another.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.kv = nn.Conv2d(dim, 2 * dim, 1, bias=False)
        self.kv_dwconv = depthwise(2 * dim)
        self.q = nn.Conv2d(dim, dim, 3, padding=1, bias=False)
        self.project_out = nn.Conv2d(dim, dim, 1, bias=False)

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Attend from channels of `x` to those of `other`, (N, C, h, w)."""
        k, v = self.kv_dwconv(self.kv(other)).chunk(2, dim=1)
        logits, v = channel_logits(self.q(x), k, v, self.temperature)
        return self.project_out((logits.softmax(-1) @ v).reshape(x.shape))


class MergeBlock(nn.Module):
    """Joins the features of a frame with those of the memory.

    Args:
        dim: channels of both.
        heads: of the attention.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm_q = ChannelNorm(dim)
        self.norm_kv = ChannelNorm(dim)
        self.attn = CrossAttention(dim, heads)
        self.norm_out = ChannelNorm(dim)
        self.ffn = nn.Sequential(
            nn.Conv2d(2 * dim, dim, 1, bias=False),
            depthwise(dim),
            nn.GELU(),
            nn.Conv2d(dim, dim, 1, bias=False),
        )

    def forward(self, x: Tensor, carried: Tensor) -> Tensor:
        """Map two (N, C, h, w) to one; there is no residual."""
        x = self.norm_q(x)
        found = self.norm_out(self.attn(x, self.norm_kv(carried)))
        return self.ffn(torch.cat([x, found], dim=1))


class ViformerDownsample(nn.Module):
    """Halves the sides and doubles the channels.

    Args:
        dim: channels of the input.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        conv = nn.Conv2d(dim, dim // 2, 3, padding=1, bias=False)
        self.body = nn.Sequential(conv, nn.PixelUnshuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, 2 C, h / 2, w / 2)."""
        return self.body(x)


class ViformerUpsample(nn.Module):
    """Doubles the sides and halves the channels.

    Args:
        dim: channels of the input.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        conv = nn.Conv2d(dim, 2 * dim, 3, padding=1, bias=False)
        self.body = nn.Sequential(conv, nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, h, w) to (N, C / 2, 2 h, 2 w)."""
        return self.body(x)


def depthwise(dim: int) -> nn.Conv2d:
    """Make a 3x3 convolution of each channel by itself, without bias."""
    return nn.Conv2d(dim, dim, 3, padding=1, groups=dim, bias=False)


def channel_logits(
    q: Tensor, k: Tensor, v: Tensor, temperature: Tensor
) -> tuple[Tensor, Tensor]:
    """Compare channels by the cosine of the angle between them.

    Args:
        q: (N, C, h, w).
        k: (N, C, h, w).
        v: (N, C, h, w), only rearranged for the attention.
        temperature: factor of each head, (heads, 1, 1).

    Returns:
        Logits (N, heads, c, c) and `v` as (N, heads, c, h w), where
        c = C / heads.
    """
    n, heads = len(q), len(temperature)
    q, k, v = (x.reshape(n, heads, -1, x[0, 0].numel()) for x in (q, k, v))
    q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    return q @ k.transpose(-2, -1) * temperature, v
