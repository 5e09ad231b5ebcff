"""Temporal profiles: one row or column of pixels over the frames of a clip."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from star.report.figures import COLOURS
from star.report.frames import Size, read_frames

_FRAME = 3.6  # inches that the frame beside the profiles takes
_COLUMN = 1.8  # that a column over time takes


@dataclass(frozen=True)
class Line:
    """Consecutive pixels of a row or a column of a frame.

    Args:
        vertical: take a column instead of a row.
        index: of the row or column, from 0 at the top or left.
        start: first pixel.
        length: number of pixels, >= 1; None for all up to the border.
    """

    vertical: bool
    index: int
    start: int = 0
    length: int | None = None

    def fit(self, size: Size) -> 'Line':
        """Return the line with its length in a frame.

        Args:
            size: height and width of the frame.

        Raises:
            ValueError: the line lies outside the frame.
        """
        across, along = size[::-1] if self.vertical else size
        name = 'column' if self.vertical else 'row'
        if not 0 <= self.index < across:
            raise ValueError(
                f'`{name}` must lie between 0 and {across - 1}, got '
                f'{self.index}'
            )
        length = along - self.start if self.length is None else self.length
        if self.start < 0 or length < 1 or self.start + length > along:
            raise ValueError(
                f'pixels {self.start} to {self.start + length - 1} of a '
                f'{name} must lie between 0 and {along - 1}'
            )
        return Line(self.vertical, self.index, self.start, length)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of a fitted line."""
        assert self.length is not None, 'fit it first'
        end = self.start + self.length
        if self.vertical:
            return self.index, self.start, self.index + 1, end
        return self.start, self.index, end, self.index + 1


def read_profile(
    path: Path, size: Size, line: Line, num_frames: int
) -> np.ndarray:
    """Put the same line of consecutive frames side by side.

    Args:
        path: video or folder of frames.
        size: height and width of the frame that the line lies in; frames of
            another size are resized (bicubic).
        line: fitted to this size.
        num_frames: at most.

    Returns:
        uint8 RGB; of a row (T, length, 3), of a column (length, T, 3).

    Raises:
        VideoError: the file cannot be read.
    """
    frames = read_frames(path, size, num_frames)
    lines = [np.asarray(image.crop(line.box)) for image in frames]
    return np.concatenate(lines, axis=1 if line.vertical else 0)


def draw_profiles(
    frame: Image.Image, line: Line, profiles: Mapping[str, np.ndarray]
) -> Figure:
    """Draw profiles beside a frame in which their line is marked.

    Args:
        frame: of the first clip.
        line: fitted to its size.
        profiles: from `read_profile`, by name.
    """
    draw = _draw_columns if line.vertical else _draw_rows
    figure, first, panels = draw(len(profiles), frame.height / frame.width)
    first.imshow(frame)
    left, top, right, bottom = line.box
    first.plot(
        [left, left if line.vertical else right - 1],
        [top, bottom - 1 if line.vertical else top],
        color=COLOURS[1],
        linewidth=2,
    )
    name = 'column' if line.vertical else 'row'
    first.set_title(f'{name} {line.index}', fontsize='medium')
    first.set_axis_off()
    first.set_anchor('N')
    for panel, (label, profile) in zip(panels, profiles.items(), strict=True):
        _profile(panel, label, profile, line)
    return figure


def _draw_rows(count: int, ratio: float) -> tuple[Figure, Axes, list[Axes]]:
    """Lay out profiles below one another, to the right of the frame."""
    height = max(_FRAME * ratio + 0.4, 1.25 * count)
    figure = Figure(figsize=(2.6 * _FRAME, height), layout='constrained')
    grid = figure.add_gridspec(count, 2, width_ratios=[1, 1.6])
    panels = [figure.add_subplot(grid[i, 1]) for i in range(count)]
    return figure, figure.add_subplot(grid[:, 0]), panels


def _draw_columns(count: int, ratio: float) -> tuple[Figure, Axes, list[Axes]]:
    """Lay out profiles beside one another, to the right of the frame."""
    size = (_FRAME + _COLUMN * count, max(2.0, _FRAME * ratio + 0.6))
    figure = Figure(figsize=size, layout='constrained')
    ratios = [_FRAME, *[_COLUMN] * count]
    grid = figure.add_gridspec(1, count + 1, width_ratios=ratios)
    panels = [figure.add_subplot(grid[0, i + 1]) for i in range(count)]
    return figure, figure.add_subplot(grid[0, 0]), panels


def _profile(panel: Axes, label: str, profile: np.ndarray, line: Line) -> None:
    """Draw one profile, enlarged without interpolation."""
    times = profile.shape[1 if line.vertical else 0]
    assert line.length is not None
    across = (line.start - 0.5, line.start + line.length - 0.5)
    along = (-0.5, times - 0.5)
    extent = (
        (*along, *across[::-1]) if line.vertical else (*across, *along[::-1])
    )
    panel.imshow(
        profile, aspect='auto', interpolation='nearest', extent=extent
    )
    panel.set_title(label, fontsize='small', pad=3)
    panel.tick_params(labelsize='x-small')
    name = panel.set_xlabel if line.vertical else panel.set_ylabel
    name('frame', fontsize='x-small')
