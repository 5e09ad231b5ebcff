"""Rows of convolutions over frames, band by band, with nothing done twice.

A convolution of 3x3 needs one more row on either side. A network that is run
on whole frames therefore keeps every layer's whole frame, and one that is run
on tiles computes the overlaps again in every layer. Here a band of rows passes
all layers while it is in the processor's cache; each layer keeps the last two
rows of its input for the next band and so lags one row behind the one before
it. Mixing in time works in the same way: a stage lags one frame behind, and
keeps the last two frames.

What the frame is cut into decides time and memory, not the result.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from star.models.layers.areas import Area
from star.models.layers.kept_frames import KeptFrames
from star.models.layers.line_buffers import BandLayer, LineBuffers, Scratch
from star.utils.scratch import ScratchFile

_BAND_PIXELS, _MANY_PIXELS, _GPU_PIXELS = 20480, 5120, 2**20
_FEW_FRAMES = 8
_LEAST_ROWS = 4


class BandStage(NamedTuple):
    """Layers, and a mixing of neighbouring frames after them.

    Args:
        layers: at least one.
        mix: gives a frame's pixels of those of the frame before, its own and
            those of the one after: `mix(before, x, after)`, (n, C) each. The
            first and the last frame of a clip stand for those beyond. None
            for the last stage.
    """

    layers: Sequence[BandLayer]
    mix: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None


Source = Callable[[int, Area], Tensor]  # of a frame's number
Sink = Callable[[int, Area, Tensor], None]


@dataclass(frozen=True)
class ClipStrip:
    """A strip of a clip, from the top to the bottom of its frames.

    Args:
        size: height and width of the frames.
        columns: that are wanted.
        first: the first frame that there is; at most as many frames before
            the first wanted one as the row sees.
        band: rows that pass the layers at a time, >= 1.
    """

    size: tuple[int, int]
    columns: range
    first: int
    band: int


def pair_layers(modules: Sequence[nn.Module]) -> list[BandLayer]:
    """Pair each convolution with the activation that follows it, if any."""
    layers: list[BandLayer] = []
    for module in modules:
        if isinstance(module, nn.Conv2d):
            layers.append(BandLayer(module))
        else:
            layers[-1] = BandLayer(layers[-1].conv, module)
    return layers


def reach_of(stages: Sequence[BandStage]) -> tuple[int, int]:
    """Return how far a row sees: frames, and rows or columns, on a side."""
    mixes = sum(stage.mix is not None for stage in stages)
    return mixes, sum(len(stage.layers) for stage in stages)


def rows_of_band(width: int, device: torch.device, frames: int = 1) -> int:
    """Choose how many rows pass the layers at a time.

    Args:
        width: of the frames.
        device: of the network; a GPU is filled by large bands only.
        frames: that pass a stage at a time; with many, small bands save
            memory.
    """
    pixels = _GPU_PIXELS
    if device.type == 'cpu':
        share = max(1, frames / _FEW_FRAMES)
        pixels = max(_MANY_PIXELS, int(_BAND_PIXELS / share))
    return max(_LEAST_ROWS, pixels // width)


class BandStream:
    """Runs a row of convolutions on a strip of a clip, as frames come.

    Args:
        stages: of the row; all but the last have a mix.
        source: gives the first features of an area of a frame, (1, C, rows,
            columns); asked once for each row of a frame.
        sink: receives the last features of an area of a frame; it may have
            more columns than are wanted.
        strip: of the clip.
        frames: that are wanted, as far as is known: `stop` may be too large.
        file: where frames wait that later ones are mixed with; None to hold
            them in memory.
    """

    def __init__(
        self,
        stages: Sequence[BandStage],
        source: Source,
        sink: Sink,
        strip: ClipStrip,
        frames: range,
        file: ScratchFile | None = None,
    ) -> None:
        self.source, self.sink, self.strip = source, sink, strip
        self._scratch = Scratch(stages[0].layers[0].conv.weight)
        reach = reach_of(stages)[1]
        columns = range(
            max(0, strip.columns.start - reach),
            min(strip.size[1], strip.columns.stop + reach),
        )
        self.stages = []
        for left, stage in zip(
            range(len(stages) - 1, -1, -1), stages, strict=True
        ):
            first = max(strip.first, frames.start - left)
            needed = range(first, frames.stop + left)
            kept = KeptFrames(strip.size[0], file)
            self.stages.append(
                _StageRun(stage, columns, strip, needed, self._scratch, kept)
            )
            columns = self.stages[-1].out_columns

    def advance(
        self,
        stop: int,
        ended: bool,
        report: Callable[[float], None] = lambda share: None,
    ) -> range:
        """Take frames, and complete those that need no others.

        Args:
            stop: number after that of the last frame that is taken.
            ended: the clip ends there.
            report: receives the share that is done, after each band.

        Returns:
            The frames that are now complete.
        """
        chunk, reached = [], stop
        for stage in self.stages:
            chunk.append(stage.start(reached, stop if ended else None))
            at_end = ended and chunk[-1].stop == stop
            reached = chunk[-1].stop - (not at_end)
        height = self.strip.size[0]
        for top in range(0, height, self.strip.band):
            rows = range(top, min(top + self.strip.band, height))
            self._pass_on(chunk, rows)
            report(rows.stop / height)
        return chunk[-1]

    def rest(self) -> None:
        """Free what only the frames so far have needed."""
        self._scratch.free()
        for stage in self.stages:
            for lines in stage.lines:
                lines.start(range(0))

    def _pass_on(self, chunk: list[range], rows: range) -> None:
        """Bring a band as far as it goes."""
        area = Area(rows, self.stages[0].columns)
        found = {frame: self.source(frame, area) for frame in chunk[0]}
        for stage, after in zip(
            self.stages, [*chunk[1:], range(0)], strict=True
        ):
            found, rows = stage.pass_on(found, rows, after)
        area = Area(rows, self.stages[-1].out_columns)
        for frame, x in found.items():
            if rows:
                self.sink(frame, area, x)


class _StageRun:
    """One stage of one strip, with all that it keeps.

    Args:
        stage: of the row.
        columns: of its input.
        strip: that it belongs to.
        needed: frames of its output before the mix.
        scratch: memory of all layers.
        kept: takes the last two frames of the chunk before.

    Attributes:
        out_columns: columns of its output.
    """

    def __init__(
        self,
        stage: BandStage,
        columns: range,
        strip: ClipStrip,
        needed: range,
        scratch: Scratch,
        kept: KeptFrames,
    ) -> None:
        self.stage, self.columns = stage, columns
        self.strip, self.needed = strip, needed
        self.lines = []
        width = strip.size[1]
        for layer in stage.layers:
            self.lines.append(LineBuffers(layer, columns, strip.size, scratch))
            columns = range(
                columns.start + (columns.start > 0),
                columns.stop - (columns.stop < width),
            )
        self.out_columns = columns
        self.frames = range(needed.start, needed.start)
        self.last: int | None = None  # of the clip
        self.kept = kept

    def start(self, stop: int, clip_stop: int | None) -> range:
        """Begin at the top with the frames that follow.

        Args:
            stop: number after that of the last frame that there is.
            clip_stop: number after that of the clip's last frame, if known.

        Returns:
            The frames that are taken.
        """
        begin = self.frames.stop
        end = max(begin, min(stop, self.needed.stop))
        self.frames = range(begin, end)
        self.last = None if clip_stop is None else clip_stop - 1
        for lines in self.lines:
            lines.start(self.frames)
        return self.frames

    def pass_on(
        self, found: dict[int, Tensor], rows: range, after: range
    ) -> tuple[dict[int, Tensor], range]:
        """Run all layers and the mix on a band.

        Args:
            found: input by frame.
            rows: of the input.
            after: frames of the output.

        Returns:
            Output by frame, and its rows.
        """
        for lines in self.lines:
            rows = lines.take(rows)
        done = {}
        for frame in self.frames:
            x = found.pop(frame)
            for lines in self.lines:
                x = lines.pass_on(frame, x)
            done[frame] = x
        if self.stage.mix is None:
            return done, rows
        mixed = {frame: self._mix(done, rows, frame) for frame in after}
        self._keep(done, rows)
        return mixed, rows

    def _mix(self, done: dict[int, Tensor], rows: range, frame: int) -> Tensor:
        """Mix a frame with its neighbours, (1, C, rows, columns)."""
        before = max(frame - 1, self.strip.first)
        after = frame if frame == self.last else frame + 1
        x = self._lines(done, rows, frame)
        assert self.stage.mix is not None
        out = self.stage.mix(
            self._lines(done, rows, before).flatten(0, 1),
            x.flatten(0, 1),
            self._lines(done, rows, after).flatten(0, 1),
        )
        return out.view(x.shape).permute(2, 0, 1)[None]

    def _lines(
        self, done: dict[int, Tensor], rows: range, frame: int
    ) -> Tensor:
        """Return rows of a frame, (rows, columns, C)."""
        if frame in done:
            return done[frame][0].permute(1, 2, 0)
        return self.kept.get(frame, rows)

    def _keep(self, done: dict[int, Tensor], rows: range) -> None:
        """Keep rows of the last two frames, unless no chunk follows."""
        if self.frames.stop in (self.needed.stop, (self.last or -2) + 1):
            return
        for frame in self.frames[-2:]:
            self.kept.put(frame, rows, done[frame][0].permute(1, 2, 0))
