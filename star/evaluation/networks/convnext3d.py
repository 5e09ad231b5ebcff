"""ConvNeXt-T over clips, the aesthetic branch of DOVER.

Liu et al. 2022 (A ConvNet for the 2020s); the kernels of some blocks span
three frames.
"""

from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

_EPS = 1e-6


class ConvNeXt3D(nn.Module):
    """Maps clips to features at 1/2 x 1/32 x 1/32.

    Args:
        dims: channels of the stages.
        depths: blocks of the stages.
    """

    def __init__(
        self,
        dims: tuple[int, ...] = (96, 192, 384, 768),
        depths: tuple[int, ...] = (3, 3, 9, 3),
    ) -> None:
        super().__init__()
        stem = nn.Conv3d(3, dims[0], (2, 4, 4), (2, 4, 4))
        self.downsample_layers = nn.ModuleList(
            [nn.Sequential(stem, _ChannelNorm(dims[0]))]
        )
        for before, after in pairwise(dims):
            halve = nn.Conv3d(before, after, (1, 2, 2), (1, 2, 2))
            self.downsample_layers.append(
                nn.Sequential(_ChannelNorm(before), halve)
            )
        self.stages = nn.ModuleList(
            # frames that a kernel spans: 1, 3, 1, 1, 3, 1 ...
            nn.Sequential(
                *[_ConvNeXtBlock(dim, 1 + i % 3 % 2 * 2) for i in range(n)]
            )
            for dim, n in zip(dims, depths, strict=True)
        )
        self.norm = _ChannelNorm(dims[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Compute features.

        Args:
            x: (N, 3, T, H, W) float, normalized.

        Returns:
            (N, C, T / 2, H / 32, W / 32), sizes rounded down.
        """
        for halve, stage in zip(
            self.downsample_layers, self.stages, strict=True
        ):
            x = stage(halve(x))
        return self.norm(x)


class _ChannelNorm(nn.LayerNorm):
    """Normalizes the channels of (N, C, T, H, W)."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class _ConvNeXtBlock(nn.Module):
    def __init__(self, dim: int, frames: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv3d(
            dim, dim, (frames, 7, 7), padding=(frames // 2, 3, 3), groups=dim
        )
        self.norm = nn.LayerNorm(dim, eps=_EPS)
        self.pwconv1 = nn.Linear(dim, 4 * dim)
        self.pwconv2 = nn.Linear(4 * dim, dim)
        self.gamma = nn.Parameter(torch.full((dim,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = rearrange(self.dwconv(x), 'n c t h w -> n t h w c')
        y = self.pwconv2(F.gelu(self.pwconv1(self.norm(y))))
        return x + rearrange(self.gamma * y, 'n t h w c -> n c t h w')
