"""Frames of features that the next ones are mixed with."""

import torch
from torch import Tensor

from star.utils.scratch import ScratchFile


class KeptFrames:
    """The last two frames of a stage, rows by rows.

    Args:
        height: rows of a frame.
        file: where they wait; None to hold them in memory.
    """

    def __init__(self, height: int, file: ScratchFile | None = None) -> None:
        self._height, self._file = height, file
        self._frames: list[Tensor] = []
        self._place = 0
        self._like: Tensor | None = None  # an empty frame

    def put(self, frame: int, rows: range, x: Tensor) -> None:
        """Keep rows of a frame in the place of those of two frames before.

        Args:
            frame: its number.
            rows: of the frame.
            x: (rows, columns, C).

        Raises:
            OSError: the disk is full.
        """
        if self._like is None:
            self._like = x.new_empty((0, *x.shape[1:]))
            shape = (self._height, *x.shape[1:])
            if self._file is None:
                self._frames = [x.new_empty(shape) for _ in range(2)]
            else:
                self._place = self._file.reserve(2 * self._bytes(self._height))
        if self._file is None:
            self._frames[frame % 2][rows.start : rows.stop] = x
        else:
            self._file.write(self._offset(frame, rows), x)

    def get(self, frame: int, rows: range) -> Tensor:
        """Return rows of one of the last two frames, (rows, columns, C)."""
        if self._file is None:
            return self._frames[frame % 2][rows.start : rows.stop]
        assert self._like is not None
        like = self._like
        shape = (len(rows), *like.shape[1:])
        out = torch.empty(shape, dtype=like.dtype)
        self._file.read(self._offset(frame, rows), out)
        return out.to(like.device)

    def _bytes(self, rows: int) -> int:
        assert self._like is not None
        _, columns, channels = self._like.shape
        return rows * columns * channels * self._like.element_size()

    def _offset(self, frame: int, rows: range) -> int:
        return self._place + self._bytes(frame % 2 * self._height + rows.start)
