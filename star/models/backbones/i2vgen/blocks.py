"""Blocks of the I2VGen-XL UNet on channels-last clips, (N, T, H, W, C).

In that layout linear layers and LayerNorm need no rearrangement, a frame and
a clip are both channels-last images (`per_frame`, `per_clip`), and a temporal
(3, 1, 1) convolution is a (3, 1) convolution on (N, C, T, H W).
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from star.models.backbones.i2vgen.convolution import ProductConv
from star.models.layers.attention import AUTO, AttentionLayer, mix_tokens
from star.models.layers.liem import build_liem
from star.models.layers.product import ProductLinear

NUM_GROUPS = 32
MAX_ATTENTION_BATCH = 32768  # CUDA kernels index the batch with 16 bits
SHORT = 16  # tokens; see `attend`
MAX_TOKENS = 65536  # a feed-forward layer is eight times as wide inside
MAX_CPU_BYTES = 24 * 2**20  # inside it; more take longer for each token

TextKeysValues = tuple[Tensor, Tensor]
Module = TypeVar('Module', bound=nn.Module)


def per_frame(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a 2-D module to each frame, seen as (N T, C, H, W).

    Args:
        module: maps (B, C, H, W) to (B, C', H', W').
        x: (N, T, H, W, C).
    """
    frames = x.flatten(0, 1).permute(0, 3, 1, 2)
    y = module(frames).permute(0, 2, 3, 1)
    return y.unflatten(0, x.shape[:2])


def per_clip(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a 2-D module to each clip, seen as (N, C, T, H W).

    Args:
        module: maps (N, C, T, H W) to (N, C', T, H W).
        x: (N, T, H, W, C).
    """
    clips = x.flatten(2, 3).permute(0, 3, 1, 2)
    y = module(clips).permute(0, 2, 3, 1)
    return y.unflatten(2, x.shape[2:4])


def zero_init(module: Module) -> Module:
    """Set all parameters of a module to zero and return it."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


class ResBlock(nn.Module):
    """Two 3x3 convolutions with the time embedding, then temporal ones.

    Args:
        in_dim: input channels, a multiple of 32.
        out_dim: output channels, a multiple of 32.
        embed_dim: channels of the time embedding.
        dropout: probability before the last convolutions.
    """

    def __init__(
        self, in_dim: int, out_dim: int, embed_dim: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(NUM_GROUPS, in_dim)
        self.conv1 = ProductConv(in_dim, out_dim)
        self.time_proj = ProductLinear(embed_dim, out_dim)
        self.norm2 = nn.GroupNorm(NUM_GROUPS, out_dim)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = zero_init(ProductConv(out_dim, out_dim))
        self.skip = (
            nn.Identity()
            if in_dim == out_dim
            else ProductLinear(in_dim, out_dim)
        )
        self.temporal_conv = TemporalConv(out_dim, dropout)

    def forward(self, x: Tensor, embed: Tensor) -> Tensor:
        """Transform a clip.

        Args:
            x: (N, T, H, W, C).
            embed: time embedding after SiLU, (N, E).
        """
        y = per_frame(lambda f: self.conv1(F.silu(self.norm1(f))), x)
        y = y + self.time_proj(embed)[:, None, None, None]
        y = per_frame(
            lambda f: self.conv2(self.dropout(F.silu(self.norm2(f)))), y
        )
        return self.temporal_conv(self.skip(x) + y)


class TemporalConv(nn.Module):
    """Four temporal convolutions of width 3 as a residual branch."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        layers = [
            TemporalConvLayer(dim, dropout if i else 0.0) for i in range(4)
        ]
        zero_init(layers[-1].conv)
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Transform a clip, (N, T, H, W, C)."""
        y = x
        for layer in self.layers:
            y = per_clip(layer, y)
        return x + y


class TemporalConvLayer(nn.Module):
    """GroupNorm over the whole clip, SiLU, dropout, convolution in time."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NUM_GROUPS, dim)
        self.dropout = nn.Dropout(dropout)
        self.conv = ProductConv(dim, dim, (3, 1), padding=(1, 0))

    def forward(self, x: Tensor) -> Tensor:
        """Transform clips, (N, C, T, H W)."""
        return self.conv(self.dropout(F.silu(self.norm(x))))


def set_time_padding(module: nn.Module, mode: str) -> None:
    """Choose what every temporal convolution sees beyond a clip's ends.

    Args:
        module: changed in place; its parameters are not.
        mode: 'zeros', or 'replicate' for the first and the last frame.

    Raises:
        ValueError: `mode` is neither.
    """
    if mode not in ('zeros', 'replicate'):
        raise ValueError(
            f"`time_padding` must be 'zeros' or 'replicate', got {mode!r}"
        )
    for layer in module.modules():
        if isinstance(layer, TemporalConvLayer):
            layer.conv.padding_mode = mode  # type: ignore[assignment]


class UNetDownsample(nn.Module):
    """Halve a frame: H to H / 2 + 1 (padding 2 rows), W to W / 2."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = ProductConv(dim, dim, stride=2, padding=(2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Transform a clip, (N, T, H, W, C)."""
        return per_frame(self.conv, x)


class UNetUpsample(nn.Module):
    """Double a frame and cut the rows `UNetDownsample` added: 2 H - 2, 2 W."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = ProductConv(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform a clip, (N, T, H, W, C)."""
        return per_frame(self._double, x)

    def _double(self, frames: Tensor) -> Tensor:
        doubled = F.interpolate(frames, scale_factor=2.0, mode='nearest')
        return self.conv(doubled[:, :, 1:-1])


class Attention(AttentionLayer):
    """Multi-head attention, with itself or with the text.

    Args:
        dim: channels, a multiple of `head_dim`.
        head_dim: channels of a head.
        context_dim: channels of the tokens of keys and values; None for
            `dim`.
    """

    def __init__(
        self, dim: int, head_dim: int, context_dim: int | None = None
    ) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.to_q = ProductLinear(dim, dim, bias=False)
        self.to_k = ProductLinear(context_dim or dim, dim, bias=False)
        self.to_v = ProductLinear(context_dim or dim, dim, bias=False)
        self.to_out = ProductLinear(dim, dim)

    def spatial(self, x: Tensor) -> Tensor:
        """Attend within each frame of (N, T, H, W, C)."""
        heads = [
            rearrange(
                f(x), 'n t h w (m d) -> (n t) m (h w) d', d=self.head_dim
            )
            for f in (self.to_q, self.to_k, self.to_v)
        ]
        y = self.mix(*heads)
        n, t, h, w, _ = x.shape
        y = rearrange(
            y, '(n t) m (h w) d -> n t h w (m d)', n=n, t=t, h=h, w=w
        )
        return self.to_out(y)

    def temporal(self, x: Tensor) -> Tensor:
        """Attend along time at each position of (N, T, H, W, C)."""
        q, k, v = (
            rearrange(f(x), 'n t h w (m d) -> (n h w) m t d', d=self.head_dim)
            for f in (self.to_q, self.to_k, self.to_v)
        )
        y = _attend_in_batches(q, k, v, self.kernel)
        n, _, h, w, _ = x.shape
        y = rearrange(y, '(n h w) m t d -> n t h w (m d)', n=n, h=h, w=w)
        return self.to_out(y)

    def project_text(self, text: Tensor) -> TextKeysValues:
        """Compute keys and values of text, (N, L, D) to (N, heads, L, d)."""
        text = text.to(self.to_k.weight.dtype)
        k, v = (
            rearrange(f(text), 'n l (m d) -> n m l d', d=self.head_dim)
            for f in (self.to_k, self.to_v)
        )
        return k, v

    def cross(self, x: Tensor, text: TextKeysValues) -> Tensor:
        """Attend from every token of (N, T, H, W, C) to its clip's text."""
        n, t, h, w, _ = x.shape
        q = rearrange(
            self.to_q(x), 'n t h w (m d) -> n m (t h w) d', d=self.head_dim
        )
        k, v = (z.expand(n, -1, -1, -1) for z in text)
        y = self.mix(q, k, v)
        y = rearrange(y, 'n m (t h w) d -> n t h w (m d)', t=t, h=h, w=w)
        return self.to_out(y)


def attend(q: Tensor, k: Tensor, v: Tensor, kernel: str = AUTO) -> Tensor:
    """Attend, without a mask; (N, heads, L, d) each.

    On a CPU torch's kernel takes two to ten times as long for short sequences
    as matrix products. Only their gradient in float32 is slower.
    """
    slow_gradient = torch.is_grad_enabled() and q.dtype == torch.float32
    short = q.device.type == 'cpu' and q.shape[2] <= SHORT
    if kernel != AUTO or not short or slow_gradient:
        return mix_tokens(q, k, v, kernel)
    weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return weights.softmax(-1) @ v


def _attend_in_batches(q: Tensor, k: Tensor, v: Tensor, kernel: str) -> Tensor:
    size = MAX_ATTENTION_BATCH
    if q.shape[0] <= size:
        return attend(q, k, v, kernel)
    pieces = [
        attend(q[i : i + size], k[i : i + size], v[i : i + size], kernel)
        for i in range(0, q.shape[0], size)
    ]
    return torch.cat(pieces)


class FeedForward(nn.Module):
    """Linear, gated GELU, linear; four times wider inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj_in = ProductLinear(dim, 8 * dim)
        self.proj_out = ProductLinear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens, (..., C), piece by piece without a gradient."""
        tokens, most = x.shape[:-1].numel(), self._most_tokens(x)
        if torch.is_grad_enabled() or tokens <= most:
            return self._forward(x)
        pieces = x.flatten(0, -2).tensor_split(-(-tokens // most))
        return torch.cat([self._forward(p) for p in pieces]).view_as(x)

    def _most_tokens(self, x: Tensor) -> int:
        if x.device.type != 'cpu':
            return MAX_TOKENS
        size = x.element_size() * self.proj_in.out_features
        return min(MAX_TOKENS, max(1, MAX_CPU_BYTES // size))

    def _forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj_in(x).chunk(2, -1)
        return self.proj_out(value * F.gelu(gate))


class SpatialTransformer(nn.Module):
    """Attention within each frame, attention to the text, feed-forward.

    Args:
        dim: channels, a multiple of `head_dim` and of 32.
        head_dim: channels of a head.
        context_dim: channels of the text embedding.
        liem: config of the local gate, or None.
    """

    def __init__(
        self, dim: int, head_dim: int, context_dim: int, liem: Mapping | None
    ) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NUM_GROUPS, dim, eps=1e-6)
        self.proj_in = ProductLinear(dim, dim)
        self.local1 = build_liem(liem, 'spatial')
        self.norm1 = nn.LayerNorm(dim)
        self.attn1 = Attention(dim, head_dim)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = Attention(dim, head_dim, context_dim)
        self.norm3 = nn.LayerNorm(dim)
        self.ff = FeedForward(dim)
        self.proj_out = zero_init(ProductLinear(dim, dim))

    def forward(self, x: Tensor, text: TextKeysValues) -> Tensor:
        """Transform a clip, (N, T, H, W, C).

        Args:
            x: (N, T, H, W, C).
            text: the result of `attn2.project_text`.
        """
        y = self.proj_in(per_frame(self.norm, x))
        y = self.local1(y, self.norm1, self.attn1.spatial)
        y = y + self.attn2.cross(self.norm2(y), text)
        y = y + self.ff(self.norm3(y))
        return x + self.proj_out(y)


class TemporalTransformer(nn.Module):
    """Attention along time, twice, and feed-forward; no position encoding.

    Args:
        dim: channels, a multiple of 32.
        inner_dim: channels inside, a multiple of `head_dim`.
        head_dim: channels of a head.
        liem: config of the local gates, or None.
    """

    def __init__(
        self, dim: int, inner_dim: int, head_dim: int, liem: Mapping | None
    ) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(NUM_GROUPS, dim, eps=1e-6)
        self.proj_in = ProductLinear(dim, inner_dim)
        self.local1 = build_liem(liem, 'temporal')
        self.norm1 = nn.LayerNorm(inner_dim)
        self.attn1 = Attention(inner_dim, head_dim)
        self.local2 = build_liem(liem, 'temporal')
        self.norm2 = nn.LayerNorm(inner_dim)
        self.attn2 = Attention(inner_dim, head_dim)
        self.norm3 = nn.LayerNorm(inner_dim)
        self.ff = FeedForward(inner_dim)
        self.proj_out = zero_init(ProductLinear(inner_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Transform a clip, (N, T, H, W, C)."""
        y = self.proj_in(per_clip(self.norm, x))
        y = self.local1(y, self.norm1, self.attn1.temporal)
        y = self.local2(y, self.norm2, self.attn2.temporal)
        y = y + self.ff(self.norm3(y))
        return x + self.proj_out(y)
