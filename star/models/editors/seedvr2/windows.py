"""Windows of attention whose number follows the shape of a frame."""

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_AREA = 45 * 80  # tokens of a frame of 1280 x 720
_FRAMES = 30  # latent frames above which windows grow no more

Size = tuple[int, int, int]


class Box(NamedTuple):
    """A window: half-open ranges of frames, rows and columns of tokens."""

    frames: tuple[int, int]
    rows: tuple[int, int]
    columns: tuple[int, int]

    @property
    def size(self) -> Size:
        """Frames, rows and columns of the window."""
        t, h, w = (end - start for start, end in self)
        return t, h, w

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The window as an index of (T, H, W, ...)."""
        t, h, w = (slice(*span) for span in self)
        return t, h, w


def window_size(size: Size, counts: Size) -> Size:
    """Compute the sides of the windows of a clip.

    Rows and columns are divided as if the frame had the tokens of 1280 x 720,
    so that a window has about as many tokens in frames of all sizes. In a
    smaller frame a window may be larger than the frame.

    Args:
        size: frames, rows and columns of tokens.
        counts: windows of each axis in a frame of 1280 x 720.
    """
    frames, rows, columns = size
    scale = math.sqrt(_AREA / (rows * columns))
    sides = round(rows * scale), round(columns * scale)
    return (
        math.ceil(min(frames, _FRAMES) / counts[0]),
        math.ceil(sides[0] / counts[1]),
        math.ceil(sides[1] / counts[2]),
    )


def plan_boxes(size: Size, counts: Size, shifted: bool) -> list[Box]:
    """Cut a clip's tokens into windows.

    Args:
        size: frames, rows and columns of tokens.
        counts: as for `window_size`.
        shifted: begin with half a window on each axis that has several.

    Returns:
        Windows in the order of the official code: columns outermost, frames
        innermost.
    """
    frames, rows, columns = (
        list(_spans(length, side, shifted))
        for length, side in zip(size, window_size(size, counts), strict=True)
    )
    return [Box(t, h, w) for w in columns for h in rows for t in frames]


def group_boxes(boxes: Iterable[Box], most: int) -> Iterator[list[Box]]:
    """Group windows of one size, which are attended together.

    Args:
        boxes: windows.
        most: tokens of a group; a larger window is a group of its own.
    """
    groups: dict[Size, list[Box]] = {}
    for box in boxes:
        groups.setdefault(box.size, []).append(box)
    for size, alike in groups.items():
        count = max(1, most // math.prod(size))
        for start in range(0, len(alike), count):
            yield alike[start : start + count]


def _spans(length: int, side: int, shifted: bool) -> Iterator[tuple[int, int]]:
    """Cut one axis; a shifted edge is rounded down."""
    half = 0.5 if shifted and side < length else 0.0
    for i in range(math.ceil(length / side + half)):
        start = max(int((i - half) * side), 0)
        end = min(int((i + 1 - half) * side), length)
        if start < end:
            yield start, end
