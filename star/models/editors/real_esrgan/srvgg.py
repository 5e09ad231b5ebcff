"""SRVGGNetCompact, the small network of Real-ESRGAN's release 0.2.5."""

from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.memory_format import use_channels_last


class SRVGGNetCompact(nn.Module):
    """A row of convolutions at the input's size, then a pixel shuffle.

    Named as in the released files: `body.0.weight` and so on. Weights are
    kept channels last, in which the convolutions are fastest.

    Args:
        num_conv: inner convolutions, >= 0.
        dim: their width.
        scale: a whole number.
    """

    def __init__(
        self, num_conv: int = 32, dim: int = 64, scale: int = 4
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in [3] + [dim] * num_conv:
            layers += [nn.Conv2d(inputs, dim, 3, padding=1), nn.PReLU(dim)]
        layers.append(nn.Conv2d(dim, 3 * scale**2, 3, padding=1))
        self.body = nn.Sequential(*layers)
        self.scale = scale
        use_channels_last(self)

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge frames, (N, 3, h, w) RGB in [0, 1], not clamped."""
        # before the shuffle, each pixel repeated is the nearest enlargement
        nearest = x.repeat_interleave(self.scale**2, dim=1)
        return F.pixel_shuffle(self.body(x).add_(nearest), self.scale)
