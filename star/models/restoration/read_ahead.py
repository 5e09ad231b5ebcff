"""Frames of the input that are read a little ahead, and still needed."""

from collections.abc import Iterator
from itertools import islice

from torch import Tensor

from star.models.data_preprocessor import to_float
from star.video.frame_store import FrameStore


class ReadAhead:
    """Frames of the input that are still needed.

    Args:
        first: the first frame, (3, h, w).
        frames: those that follow.
        begin: number of the first frame.
        most: frames that are needed at once.

    Attributes:
        stop: number after that of the last frame that has been read.
        ended: whether there are no more.
    """

    def __init__(
        self, first: Tensor, frames: Iterator[Tensor], begin: int, most: int
    ) -> None:
        self.size = (first.shape[1], first.shape[2])
        self.dtype = first.dtype
        self.begin, self.stop, self.ended = begin, begin, False
        self._first, self._frames = first, frames
        self._store = FrameStore(self.size, first.dtype, most)
        self._add(first)

    def read(self, frame: int) -> None:
        """Read on until a frame is there or the clip has ended."""
        for found in islice(self._frames, max(0, frame + 1 - self.stop)):
            self._add(found)
        self.ended = self.ended or self.stop <= frame

    def ended_at(self, stop: int) -> bool:
        """Return whether the clip is known to have so many frames."""
        return self.ended and stop == self.stop

    def forget(self, before: int) -> None:
        """Forget the frames before one."""
        self._store.drop(before)

    def rows(self, frame: int, rows: range) -> Tensor:
        """Return rows of a frame, (1, 3, rows, w) in [-1, 1]."""
        return to_float(self._store.rows(frame, rows.start, rows.stop))[None]

    def frame(self, frame: int) -> Tensor:
        """Return a frame, (1, 3, h, w) of the input's type."""
        return self._store.rows(frame, 0, self.size[0])[None]

    def _add(self, frame: Tensor) -> None:
        first = self._first
        if (frame.shape, frame.dtype) != (first.shape, first.dtype):
            raise ValueError(
                'all frames must have one shape and type, got '
                f'{tuple(first.shape)} {first.dtype} and '
                f'{tuple(frame.shape)} {frame.dtype}'
            )
        self._store.put(self.stop, 0, 0, frame)
        self.stop += 1
