"""RRDBNet, the large network of Real-ESRGAN, Wang et al. 2021.

Residual-in-residual dense blocks, ESRGAN (Wang et al. 2018), section 3.1.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.memory_format import use_channels_last

SCALES = (1, 2, 4)
_SLOPE = 0.2  # of all leaky ReLUs
_RESIDUAL = 0.2  # share of a block's result that is added to its input


class RRDBNet(nn.Module):
    """Enlarges frames, without a residual from the input.

    Named as in the released files: `body.0.rdb1.conv1.weight` and so on. The
    network itself enlarges four times; for less, pixels of the input are
    first folded into channels. Weights are kept channels last, in which the
    convolutions are fastest.

    Args:
        num_blocks: residual-in-residual blocks, >= 1.
        dim: channels between blocks.
        growth: channels that each convolution of a block adds.
        scale: 1, 2 or 4.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        num_blocks: int = 23,
        dim: int = 64,
        growth: int = 32,
        scale: int = 4,
    ) -> None:
        super().__init__()
        if scale not in SCALES:
            raise ValueError(f'`scale` must be 1, 2 or 4, got {scale}')
        if num_blocks < 1:
            raise ValueError(
                f'`num_blocks` must be at least 1, got {num_blocks}'
            )
        self.fold = 4 // scale
        self.conv_first = _conv(3 * self.fold**2, dim)
        self.body = nn.Sequential(
            *(RRDB(dim, growth) for _ in range(num_blocks))
        )
        self.conv_body = _conv(dim, dim)
        self.conv_up1 = _conv(dim, dim)
        self.conv_up2 = _conv(dim, dim)
        self.conv_hr = _conv(dim, dim)
        self.conv_last = _conv(dim, 3)
        use_channels_last(self)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge frames.

        Args:
            x: (N, 3, h, w) RGB in [0, 1], h and w multiples of 4 / scale.

        Returns:
            (N, 3, scale * h, scale * w), not clamped.
        """
        feat = self.conv_first(F.pixel_unshuffle(x, self.fold))
        feat = self.conv_body(self.body(feat)).add_(feat)
        for conv in (self.conv_up1, self.conv_up2):
            feat = F.interpolate(feat, scale_factor=2.0, mode='nearest')
            feat = _leaky(conv(feat))
        return self.conv_last(_leaky(self.conv_hr(feat)))


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
        self.conv1 = _conv(dim, growth)
        self.conv2 = _conv(dim + growth, growth)
        self.conv3 = _conv(dim + 2 * growth, growth)
        self.conv4 = _conv(dim + 3 * growth, growth)
        self.conv5 = _conv(dim + 4 * growth, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Refine features, (N, dim, h, w)."""
        feats = [x]
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            feats.append(_leaky(conv(torch.cat(feats, 1))))
        out = self.conv5(torch.cat(feats, 1))
        return out.mul_(_RESIDUAL).add_(x)


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE, inplace=True)
