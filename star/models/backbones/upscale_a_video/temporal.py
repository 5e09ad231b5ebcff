"""Upscale-A-Video's layers over time: attention, convolutions, blocks.

Zhou et al., CVPR 2024, section 3.2. Names of tensors are the published
files'. Frames are the batch, (N T), with the T frames of a clip in a row.
"""

import math
from collections.abc import Callable, Iterator
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.clip_resnet import (
    embed_frames,
    gather_affine,
    run_resnet,
)

ROTATED = 32  # channels of a head that are rotated
_BUCKETS = 32  # of distances in time, half of them for the frames after
_FURTHEST = 32
_PIECE = 1 << 25  # numbers of the widest tensor of a piece


class UAVRotary(nn.Module):
    """Rotates channels by the number of the frame (RoPE, Su et al. 2021).

    One is shared by all layers; the files hold its table under the name of
    each. The table stays in float32.
    """

    def __init__(self) -> None:
        super().__init__()
        steps = torch.arange(0, ROTATED, 2) / ROTATED
        self.freqs = nn.Parameter(10000.0**-steps, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Rotate the first channels in pairs (2i, 2i + 1).

        Args:
            x: (..., T, C) with at least 32 channels, frames 0 to T - 1.
        """
        angles = torch.outer(
            torch.arange(x.shape[-2], device=x.device).to(self.freqs),
            self.freqs,
        )
        turned, rest = x.split([ROTATED, x.shape[-1] - ROTATED], -1)
        pairs = turned.float().unflatten(-1, (-1, 2))
        even, odd = pairs.unbind(-1)
        cos, sin = angles.cos(), angles.sin()
        both = [even * cos - odd * sin, odd * cos + even * sin]
        turned = torch.stack(both, -1).flatten(-2)
        return torch.cat([turned.to(x.dtype), rest], -1)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> Self:
        """Move the table; it takes no other dtype."""
        before = self.freqs.data
        super()._apply(fn, recurse)
        if not (before.is_meta or self.freqs.is_meta):
            self.freqs.data = before.to(self.freqs.device)
        return self


class UAVTimeBias(nn.Module):
    """Biases of attention by the distance in time, as in T5.

    Args:
        heads: of the attention.
    """

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.relative_attention_bias = nn.Embedding(_BUCKETS, heads)

    def forward(self, frames: int) -> Tensor:
        """Return the biases (heads, T, T) of queries and keys."""
        device = self.relative_attention_bias.weight.device
        buckets = time_buckets(frames).to(device)
        return self.relative_attention_bias(buckets).permute(2, 0, 1)


def time_buckets(frames: int) -> Tensor:
    """Sort distances in time: exactly below 8 frames, then by logarithm.

    Args:
        frames: T.

    Returns:
        (T, T) int64, 0 to 31, for query and key; 16 to 31 where the key
        comes after the query.
    """
    number = torch.arange(frames)
    d = number[:, None] - number
    half, exact = _BUCKETS // 2, _BUCKETS // 4
    far = (d.abs().clamp(min=1) / exact).log()
    far = far / math.log(_FURTHEST / exact) * (half - exact)
    far = (exact + far.long()).clamp(max=half - 1)
    return half * (d < 0) + torch.where(d.abs() < exact, d.abs(), far)


class UAVTemporalAttention(nn.Module):
    """Lets each pixel attend to the same pixel of all frames of a clip.

    Args:
        dim: channels.
        heads: each of at least 32 channels.
        rotary: rotates queries and keys.

    Raises:
        ValueError: heads are too narrow.
    """

    def __init__(self, dim: int, heads: int, rotary: UAVRotary) -> None:
        super().__init__()
        if dim % heads or dim // heads < ROTATED:
            raise ValueError(
                f'`heads` must divide {dim} channels into at least {ROTATED} '
                f'each, got {heads}'
            )
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])
        self.time_rel_pos_bias = UAVTimeBias(heads)
        self.rotary_emb = rotary

    def forward(self, x: Tensor) -> Tensor:
        """Attend along time.

        Args:
            x: tokens (N, T, L, C), L pixels.

        Returns:
            Of the same shape.
        """
        q, k, v = (
            part(x).unflatten(3, (self.heads, -1)).permute(0, 2, 3, 1, 4)
            for part in (self.to_q, self.to_k, self.to_v)
        )  # (N, L, heads, T, c)
        bias = self.time_rel_pos_bias(x.shape[1])
        scores = self.rotary_emb(q * q.shape[-1] ** -0.5)
        scores = scores @ self.rotary_emb(k).transpose(-1, -2)
        out = (scores + bias).softmax(-1) @ v
        return self.to_out[0](out.permute(0, 3, 1, 2, 4).flatten(3))


class UAVTemporalResnet(nn.Module):
    """Convolves twice over time, with a residual.

    Args:
        dim: channels.
        first: frames that the first convolution sees, an odd number; the
            second sees three.
        emb_dim: size of the time's embedding, None for none.
        groups: of the norms, which pool over the clip.
    """

    def __init__(
        self,
        dim: int,
        first: int = 3,
        emb_dim: int | None = None,
        groups: int = 32,
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, dim, 1e-6)
        self.conv1 = _conv_over_time(dim, first)
        if emb_dim is not None:
            self.time_emb_proj = nn.Linear(emb_dim, dim)
        self.norm2 = nn.GroupNorm(groups, dim, 1e-6)
        self.conv2 = _conv_over_time(dim, 3)

    def forward(
        self, x: Tensor, frames: int, emb: Tensor | None = None
    ) -> Tensor:
        """Convolve clips.

        Args:
            x: (N T, C, h, w).
            frames: T.
            emb: of the time, (N, D).
        """
        h = _convolve(self.norm1, self.conv1, x, frames, torch.empty_like(x))
        if emb is not None:
            h += embed_frames(self.time_emb_proj, emb, frames)
        return _convolve(self.norm2, self.conv2, h, frames, h).add_(x)


class UAVTemporalBlock(nn.Module):
    """Convolves over time, then each frame, and adds what that gives.

    Args:
        dim: channels.
        emb_dim: size of the time's embedding.
        groups: of the norms, which pool over the clip.
    """

    def __init__(self, dim: int, emb_dim: int, groups: int = 32) -> None:
        super().__init__()
        from diffusers.models.resnet import ResnetBlock2D  # slow to import

        self.resblocks_3d_temporal = UAVTemporalResnet(dim, 5, emb_dim, groups)
        self.resblocks_3d_spatial = ResnetBlock2D(
            in_channels=dim,
            out_channels=dim,
            temb_channels=emb_dim,
            groups=groups,
            eps=1e-6,
        )
        self.shift_conv = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor, frames: int, emb: Tensor) -> Tensor:
        """Mix the frames of clips.

        Args:
            x: (N T, C, h, w).
            frames: T.
            emb: of the time, (N, D).
        """
        h = self.resblocks_3d_temporal(x, frames, emb)
        h = run_resnet(self.resblocks_3d_spatial, h, frames, emb)
        return self.shift_conv(h).add_(x)


def split_tokens(length: int, per_token: int) -> Iterator[slice]:
    """Cut tokens into pieces that need at most 2^25 numbers."""
    step = max(1, _PIECE // per_token)
    for start in range(0, length, step):
        yield slice(start, start + step)


def _conv_over_time(dim: int, frames: int) -> nn.Conv3d:
    return nn.Conv3d(dim, dim, (frames, 1, 1), padding=(frames // 2, 0, 0))


def _convolve(
    norm: nn.GroupNorm, conv: nn.Conv3d, x: Tensor, frames: int, out: Tensor
) -> Tensor:
    """Norm, act and convolve over time; pixels do not know one another.

    Args:
        norm: pools over the clip.
        conv: over time alone.
        x: (N T, C, h, w).
        frames: T.
        out: receives the result, may be `x`.
    """
    scale, shift = (
        y.unflatten(0, (-1, frames)) for y in gather_affine(norm, x, frames)
    )
    clips = x.unflatten(0, (-1, frames))
    target = out.unflatten(0, (-1, frames))
    for rows in split_tokens(x.shape[2], x[:, :, 0].numel()):
        piece = torch.addcmul(shift, clips[:, :, :, rows].to(scale), scale)
        piece = F.silu(piece, inplace=True).to(x.dtype).transpose(1, 2)
        target[:, :, :, rows] = _over_time(conv, piece).transpose(1, 2)
    return out


def _over_time(conv: nn.Conv3d, x: Tensor) -> Tensor:
    """Convolve (N, C, T, h, w) as pictures of T rows and h w columns.

    On a CPU this takes half the time of a convolution in three dimensions.
    """
    weight, padding = conv.weight[..., 0], (conv.kernel_size[0] // 2, 0)
    out = F.conv2d(x.flatten(3), weight, conv.bias, padding=padding)
    return out.unflatten(3, x.shape[3:])
