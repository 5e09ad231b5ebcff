"""Areas of frames, and convolutions of one as if the frame were whole."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.same_conv import same_conv


class Area(NamedTuple):
    """Part of a frame.

    Args:
        rows: of the frame.
        columns: of the frame.
    """

    rows: range
    columns: range

    def cut(self, x: Tensor, up: int = 1) -> Tensor:
        """Cut the part out of frames, as a view.

        Args:
            x: frames, (..., H, W), `up` times as large.
            up: pixels of `x` for one of the area.
        """
        rows, columns = (
            slice(side.start * up, side.stop * up) for side in self
        )
        return x[..., rows, columns]


@dataclass(frozen=True)
class Surroundings:
    """An area with some pixels around it, as far as the frame goes.

    Convolutions that pad at the frame's edges, and lose pixels elsewhere,
    give what they would give for the whole frame.

    Args:
        area: of the frame.
        size: height and width of the frame.
        context: pixels on each side that is not cut short by an edge.
    """

    area: Area
    size: tuple[int, int]
    context: int

    @property
    def wide(self) -> Area:
        """The area with its context."""
        rows, columns = (
            range(
                max(0, side.start - self.context),
                min(length, side.stop + self.context),
            )
            for side, length in zip(self.area, self.size, strict=True)
        )
        return Area(rows, columns)

    @property
    def _inner(self) -> list[int]:
        """1 for each side of `wide` that is no edge: left, right, top ..."""
        rows, columns = self.wide
        height, width = self.size
        sides = columns.start > 0, columns.stop < width
        return [int(s) for s in (*sides, rows.start > 0, rows.stop < height)]

    def convolve(self, conv: nn.Conv2d, x: Tensor) -> Tensor:
        """Convolve; a side of `wide` that is no edge loses a pixel.

        Args:
            conv: 3x3 without stride, with a padding of 1 of any mode.
            x: (n, C, h, w).
        """
        inner = self._inner
        if not any(inner) and torch.is_grad_enabled():
            return conv(x)
        zeros = conv.padding_mode == 'zeros'
        mode = 'constant' if zeros else conv.padding_mode
        x = F.pad(x, [1 - side for side in inner], mode)
        return same_conv(x, conv.weight, conv.bias)

    def lose(self, x: Tensor) -> Tensor:
        """Cut off what `convolve` would lose."""
        left, right, top, bottom = self._inner
        height, width = x.shape[-2:]
        return x[..., top : height - bottom, left : width - right]

    def crop(self, x: Tensor) -> Tensor:
        """Cut the area out of what `context` convolutions have left."""
        left, _, top, _ = self._inner
        rows, columns = self.wide
        y = self.area.rows.start - rows.start - top * self.context
        x0 = self.area.columns.start - columns.start - left * self.context
        height, width = (len(side) for side in self.area)
        return x[..., y : y + height, x0 : x0 + width]


def whole(size: tuple[int, int]) -> Surroundings:
    """Return the area of a whole frame.

    Args:
        size: height and width.
    """
    return Surroundings(Area(range(size[0]), range(size[1])), size, 0)


def cut_strips(width: int, columns: int = 0) -> list[range]:
    """Cut a frame into strips of about one width.

    Args:
        width: of the frame.
        columns: of a strip, at most; 0 for all.
    """
    count = -(-width // columns) if columns else 1
    edges = [round(width * i / count) for i in range(count + 1)]
    return list(map(range, edges, edges[1:]))
