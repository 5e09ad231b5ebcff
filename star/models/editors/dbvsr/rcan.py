"""RCAN's layers, Zhang et al., ECCV 2018 (arXiv 1807.02758).

Residual blocks that weigh their channels, in groups with a shortcut each.
Tensors are named as in files of that family.
"""

from torch import Tensor, nn

from star.models.layers.rrdb import conv3x3


class ResidualGroup(nn.Module):
    """A row of blocks and a convolution, with a residual.

    Args:
        dim: channels.
        num_blocks: blocks in the row, >= 0.
        reduction: channels over hidden channels of the attention.
    """

    def __init__(
        self, dim: int = 64, num_blocks: int = 20, reduction: int = 16
    ) -> None:
        super().__init__()
        blocks = [_Block(dim, reduction) for _ in range(num_blocks)]
        self.body = nn.Sequential(*blocks, conv3x3(dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Transform (N, dim, h, w)."""
        return self.body(x).add_(x)


class _Block(nn.Module):
    def __init__(self, dim: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv3x3(dim, dim),
            nn.ReLU(inplace=True),
            conv3x3(dim, dim),
            _ChannelAttention(dim, reduction),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).add_(x)


class _ChannelAttention(nn.Module):
    """Weighs channels by their means."""

    def __init__(self, dim: int, reduction: int) -> None:
        super().__init__()
        self.conv_du = nn.Sequential(
            nn.Conv2d(dim, dim // reduction, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(dim // reduction, dim, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv_du(x.mean((2, 3), keepdim=True))


def upsampler(dim: int, doublings: int) -> nn.Sequential:
    """Make layers that enlarge by 2 for each of the `doublings`."""
    layers: list[nn.Module] = []
    for _ in range(doublings):
        layers += [conv3x3(dim, 4 * dim), nn.PixelShuffle(2)]
    return nn.Sequential(*layers)
