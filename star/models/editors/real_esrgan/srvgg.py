"""SRVGGNetCompact, the small network of Real-ESRGAN's release 0.2.5."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.areas import Area, cut_strips
from star.models.layers.bands import (
    BandStage,
    BandStream,
    ClipStrip,
    pair_layers,
    rows_of_band,
)
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

    def forward(self, x: Tensor, columns: int = 0) -> Tensor:
        """Enlarge frames, not clamped.

        Args:
            x: (N, 3, h, w) RGB in [0, 1].
            columns: of a strip that is computed at a time, which takes less
                memory; 0 for all. The result does not depend on it.
        """
        if torch.is_grad_enabled():
            return self._enlarge(x, self.body(x))
        size = (x.shape[2], x.shape[3])
        large = [side * self.scale for side in size]
        out = x.new_empty((len(x), 3, *large))

        def source(frame: int, area: Area) -> Tensor:
            return area.cut(x[frame, None])

        def sink(frame: int, area: Area, features: Tensor) -> None:
            small = area.cut(x[frame, None])
            place = area.cut(out[frame, None], self.scale)
            place.copy_(self._enlarge(small, features))

        rows = rows_of_band(columns or size[1], x.device)
        for strip in cut_strips(size[1], columns):
            for frame in range(len(x)):
                one = ClipStrip(size, strip, frame, rows)
                wanted = range(frame, frame + 1)
                stream = BandStream([self.stage], source, sink, one, wanted)
                stream.advance(frame + 1, ended=True)
        return out

    @property
    def stage(self) -> BandStage:
        """All convolutions."""
        return BandStage(pair_layers(list(self.body)))

    def _enlarge(self, x: Tensor, features: Tensor) -> Tensor:
        """Add the nearest enlargement of the input."""
        # before the shuffle, that is each pixel repeated
        nearest = x.repeat_interleave(self.scale**2, dim=1)
        return F.pixel_shuffle(features.add_(nearest), self.scale)
