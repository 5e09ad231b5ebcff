"""RRDBNet, the large network of Real-ESRGAN, Wang et al. 2021."""

from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.memory_format import use_channels_last
from star.models.layers.rrdb import RRDB, conv3x3, leaky
from star.utils.checks import check_least

SCALES = (1, 2, 4)


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
        check_least('num_blocks', num_blocks, 1)
        self.fold = 4 // scale
        self.conv_first = conv3x3(3 * self.fold**2, dim)
        self.body = nn.Sequential(
            *(RRDB(dim, growth) for _ in range(num_blocks))
        )
        self.conv_body = conv3x3(dim, dim)
        self.conv_up1 = conv3x3(dim, dim)
        self.conv_up2 = conv3x3(dim, dim)
        self.conv_hr = conv3x3(dim, dim)
        self.conv_last = conv3x3(dim, 3)
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
            feat = leaky(conv(feat))
        return self.conv_last(leaky(self.conv_hr(feat)))
