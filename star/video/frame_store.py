"""Frames that come in areas and are wanted whole, in memory or in a file."""

import os
from collections import defaultdict
from typing import NamedTuple

import torch
from torch import Tensor

from star.utils.scratch import ScratchFile

_IN_MEMORY = 96 * 2**20  # bytes; more frames than these go to a file


class _StoredArea(NamedTuple):
    """An area of a frame in the file."""

    top: int
    left: int
    shape: tuple[int, int]
    offset: int


class FrameStore:
    """Keeps frames until they are complete.

    Many large frames are kept in a `ScratchFile`.

    Args:
        size: height and width.
        dtype: uint8, uint16 or float32.
        count: frames that are kept at once, at most.
        folder: of the file; None for `scratch_folder`.
    """

    def __init__(
        self,
        size: tuple[int, int],
        dtype: torch.dtype,
        count: int,
        folder: str | os.PathLike | None = None,
    ) -> None:
        self.size, self.dtype = size, dtype
        self._frames: dict[int, Tensor] = {}
        self._blocks: dict[int, list[_StoredArea]] = defaultdict(list)
        self._file = None
        if count > 1 and count * bytes_of(size, dtype) > _IN_MEMORY:
            self._file = ScratchFile(folder)

    def put(self, frame: int, top: int, left: int, x: Tensor) -> None:
        """Keep an area.

        Args:
            frame: number of the frame.
            top: first row of the area.
            left: first column of the area.
            x: (3, rows, columns) of the store's type, on any device.

        Raises:
            OSError: the disk is full.
        """
        if self._file is None:
            if frame not in self._frames:
                self._frames[frame] = torch.empty(
                    (3, *self.size), dtype=self.dtype
                )
            rows = slice(top, top + x.shape[1])
            columns = slice(left, left + x.shape[2])
            self._frames[frame][:, rows, columns] = x
            return
        place = self._file.reserve(x.nbytes)
        self._file.write(place, x)
        shape = (x.shape[1], x.shape[2])
        self._blocks[frame].append(_StoredArea(top, left, shape, place))

    def take(self, frame: int) -> Tensor:
        """Return a frame, (3, H, W), and forget it."""
        if self._file is None:
            return self._frames.pop(frame)
        out = torch.empty((3, *self.size), dtype=self.dtype)
        for block in self._blocks.pop(frame):
            x = torch.empty((3, *block.shape), dtype=self.dtype)
            self._file.read(block.offset, x)
            rows = slice(block.top, block.top + block.shape[0])
            columns = slice(block.left, block.left + block.shape[1])
            out[:, rows, columns] = x
        if not self._blocks:
            self._file.clear()
        return out

    def rows(self, frame: int, top: int, bottom: int) -> Tensor:
        """Return rows of a frame that was put as a whole, (3, rows, W)."""
        if self._file is None:
            return self._frames[frame][:, top:bottom]
        (block,) = self._blocks[frame]
        height, width = self.size
        out = torch.empty((3, bottom - top, width), dtype=self.dtype)
        for color, x in enumerate(out):
            first = (color * height + top) * width * self.dtype.itemsize
            self._file.read(block.offset + first, x)
        return out

    def drop(self, before: int) -> None:
        """Forget the frames before one."""
        for frames in (self._frames, self._blocks):
            for frame in [f for f in frames if f < before]:
                del frames[frame]

    def close(self) -> None:
        """Free the file."""
        if self._file is not None:
            self._file.close()


def bytes_of(size: tuple[int, int], dtype: torch.dtype) -> int:
    """Return the bytes of a frame."""
    return 3 * size[0] * size[1] * dtype.itemsize


def kept_in_memory(
    size: tuple[int, int], dtype: torch.dtype, count: int
) -> int:
    """Return the bytes that a `FrameStore` of these arguments holds."""
    frame = bytes_of(size, dtype)
    return count * frame if count * frame <= _IN_MEMORY else 2 * frame
