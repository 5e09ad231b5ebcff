"""Layers that mix the frames of a clip, blended by a learned share.

Frames are the batch, (N T) with the T frames of a clip in a row, so these
layers stand between those of an image network. They have the names of
MGLD-VSR's files (Yang et al., ECCV 2024, section 3.3).
"""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

_NUMBERS = 1 << 25  # of the bands in which a convolution over time works


class TemporalConvMix(nn.Module):
    """Blend frames with a convolution over time: a conv(x) + (1 - a) x.

    It works on some rows at a time, which takes less memory.

    Args:
        dim: channels.
        num_frames: of a clip, T.
    """

    def __init__(self, dim: int, num_frames: int) -> None:
        super().__init__()
        self.num_frames = num_frames
        self.temporal_conv = nn.Conv3d(dim, dim, (3, 1, 1), padding=(1, 0, 0))
        self.temporal_alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the frames of each clip; there are zeros beyond its ends.

        Args:
            x: (N T, C, h, w).
        """
        out = torch.empty_like(x)
        rows = max(1, _NUMBERS // (x.numel() // x.shape[-2]))
        for band, place in zip(
            x.split(rows, -2), out.split(rows, -2), strict=True
        ):
            clips = rearrange(
                band, '(n t) c h w -> n c t h w', t=self.num_frames
            )
            mixed = self.temporal_conv(clips)
            mixed = rearrange(mixed, 'n c t h w -> (n t) c h w')
            place.copy_(band.lerp(mixed, self.temporal_alpha))
        return out


class TemporalAttentionMix(nn.Module):
    """Blend frames with attention over time: a attn(norm(x)) + (1 - a) x.

    A pixel attends to the same pixel of all frames. Their order is unknown
    to it: there is no positional code.

    Args:
        dim: channels.
        num_frames: of a clip, T.
        head_dim: channels of a head, a divisor of `dim`.
    """

    def __init__(self, dim: int, num_frames: int, head_dim: int = 64) -> None:
        super().__init__()
        self.num_frames = num_frames
        self.norm = nn.LayerNorm(dim)
        self.temporal_attn = PlainAttention(dim, dim // head_dim)
        self.temporal_alpha = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Mix the frames of each clip.

        Args:
            x: (N T, C, h, w).
        """
        height = x.shape[-2]
        tokens = rearrange(x, '(n t) c h w -> (n h w) t c', t=self.num_frames)
        mixed = self.temporal_attn(self.norm(tokens))
        mixed = tokens.lerp(mixed, self.temporal_alpha)
        n = len(x) // self.num_frames
        return rearrange(mixed, '(n h w) t c -> (n t) c h w', n=n, h=height)


class PlainAttention(nn.Module):
    """Attend from each token of a row to all of them.

    Args:
        dim: channels.
        heads: a divisor of `dim`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_k = nn.Linear(dim, dim, bias=False)
        self.to_v = nn.Linear(dim, dim, bias=False)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])

    def forward(self, x: Tensor) -> Tensor:
        """Attend: (N, L, C) to (N, L, C)."""
        q, k, v = (
            rearrange(part(x), 'n l (h c) -> n h l c', h=self.heads)
            for part in (self.to_q, self.to_k, self.to_v)
        )
        out = F.scaled_dot_product_attention(q, k, v)
        return self.to_out[0](rearrange(out, 'n h l c -> n l (h c)'))
