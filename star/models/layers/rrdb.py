"""Residual-in-residual dense blocks of ESRGAN, Wang et al. 2018, section 3.1.

Named as in the released files: `rdb1.conv1.weight` and so on.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SLOPE = 0.2  # of all leaky ReLUs
_RESIDUAL = 0.2  # share of a block's result that is added to its input


class RRDB(nn.Module):
    """Three dense blocks in a row, and their input.

    Args:
        dim: channels of input and output.
        growth: as for `ResidualDenseBlock`.
    """

    def __init__(self, dim: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = ResidualDenseBlock(dim, growth)
        self.rdb2 = ResidualDenseBlock(dim, growth)
        self.rdb3 = ResidualDenseBlock(dim, growth)

    def forward(self, x: Tensor) -> Tensor:
        """Refine features, (N, dim, h, w)."""
        out = self.rdb3(self.rdb2(self.rdb1(x)))
        return out.mul_(_RESIDUAL).add_(x)


class ResidualDenseBlock(nn.Module):
    """Five convolutions, each of which sees the results of all before it.

    Args:
        dim: channels of input and output.
        growth: channels that each of the first four adds.
    """

    def __init__(self, dim: int, growth: int) -> None:
        super().__init__()
        self.conv1 = conv3x3(dim, growth)
        self.conv2 = conv3x3(dim + growth, growth)
        self.conv3 = conv3x3(dim + 2 * growth, growth)
        self.conv4 = conv3x3(dim + 3 * growth, growth)
        self.conv5 = conv3x3(dim + 4 * growth, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Refine features, (N, dim, h, w)."""
        feats = [x]
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            feats.append(leaky(conv(torch.cat(feats, 1))))
        out = self.conv5(torch.cat(feats, 1))
        return out.mul_(_RESIDUAL).add_(x)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """Make a 3x3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def leaky(x: Tensor) -> Tensor:
    """Apply the leaky ReLU of these networks, in place."""
    return F.leaky_relu(x, _SLOPE, inplace=True)
