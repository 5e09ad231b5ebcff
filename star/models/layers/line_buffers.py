"""Line buffers: what a convolution keeps of its input between two bands."""

from typing import NamedTuple

from torch import Tensor, nn

from star.models.layers.same_conv import same_conv

_CONTEXT = 2  # rows that a convolution keeps of its input


class BandLayer(NamedTuple):
    """A convolution of 3x3 without stride, and what follows it.

    Args:
        conv: with a padding of 1 in zeros.
        activation: works on each pixel by itself; None for none.
    """

    conv: nn.Conv2d
    activation: nn.Module | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Run on whole frames, (n, C, h, w)."""
        x = self.conv(x)
        return x if self.activation is None else self.activation(x)


class Scratch:
    """Memory that one layer after the other puts its input into.

    Args:
        like: gives type and device.
    """

    def __init__(self, like: Tensor) -> None:
        self._memory = like.new_empty(0)

    def take(self, rows: int, columns: int, channels: int) -> Tensor:
        """Return memory of any content, (rows, columns, channels)."""
        count = rows * columns * channels
        if len(self._memory) < count:
            self._memory = self._memory.new_empty(count)
        return self._memory[:count].view(rows, columns, channels)

    def free(self) -> None:
        """Give the memory back until it is taken again."""
        self._memory = self._memory.new_empty(0)


class LineBuffers:
    """The line buffers of one layer, one for each frame.

    Args:
        layer: of the stage.
        columns: of its input.
        size: height and width of a frame.
        scratch: memory for one input at a time.
    """

    def __init__(
        self,
        layer: BandLayer,
        columns: range,
        size: tuple[int, int],
        scratch: Scratch,
    ) -> None:
        self.layer, self.scratch = layer, scratch
        self.height, width = size
        self.left = int(columns.start == 0)
        self.width = len(columns) + self.left + int(columns.stop == width)
        self.kept: dict[int, Tensor | None] = {}
        self.reached, self.ends = 0, False

    def start(self, frames: range) -> None:
        """Begin again at the top, with other frames."""
        self.kept = dict.fromkeys(frames)
        self.reached = 0

    def take(self, rows: range) -> range:
        """Return the rows that can be computed once `rows` are there."""
        self.ends = rows.stop == self.height
        stop = self.height if self.ends else max(0, rows.stop - 1)
        out = range(self.reached, stop)
        self.reached = stop
        return out

    def pass_on(self, frame: int, x: Tensor) -> Tensor:
        """Compute the rows that `take` has announced, of one frame.

        Args:
            frame: of the chunk.
            x: the rows that were given to `take`, (1, C, rows, columns).
        """
        kept = self.kept[frame]
        before = 1 if kept is None else kept.shape[0]
        count, channels = x.shape[2], x.shape[1]
        rows = before + count + int(self.ends)
        lines = self.scratch.take(rows, self.width, channels)
        if kept is None:
            lines[0].zero_()  # above the frame
        else:
            lines[:before].copy_(kept)
        inner = lines[before : before + count]
        inner[:, self.left : self.left + x.shape[3]].copy_(
            x[0].permute(1, 2, 0)
        )
        inner[:, : self.left].zero_()
        inner[:, self.left + x.shape[3] :].zero_()
        if self.ends:
            lines[-1].zero_()  # below it
        else:
            self._keep(frame, lines[-_CONTEXT:])
        return self._convolve(lines.permute(2, 0, 1)[None])

    def _keep(self, frame: int, lines: Tensor) -> None:
        kept = self.kept[frame]
        if kept is None or kept.shape != lines.shape:
            self.kept[frame] = lines.clone()
        else:
            kept.copy_(lines)

    def _convolve(self, x: Tensor) -> Tensor:
        conv, activation = self.layer
        if x.shape[2] < 3:
            width = self.width - 2
            return x.new_empty((1, conv.out_channels, 0, width))
        out = same_conv(x, conv.weight, conv.bias)
        return out if activation is None else activation(out)
