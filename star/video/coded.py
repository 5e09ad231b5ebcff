"""`CodedPiece`: consecutive frames of a result, coded without any others."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import NamedTuple


class CodedFrame(NamedTuple):
    """One coded frame of a piece.

    Args:
        size: bytes.
        time: seconds since the start of the result.
        duration: seconds on screen, > 0.
        is_key: whether it is decoded without others.
    """

    size: int
    time: Fraction
    duration: Fraction
    is_key: bool = True


@dataclass(frozen=True)
class CodedPiece:
    """Consecutive frames that are coded without any others.

    Args:
        frames: in the order of decoding.
        data: their bytes, one after the other.
        header: of the codec, the same for all pieces of a result.
    """

    frames: Sequence[CodedFrame]
    data: bytes
    header: bytes = b''

    def split(self) -> list[bytes]:
        """Return the bytes of each frame."""
        ends = [0, *accumulate(frame.size for frame in self.frames)]
        return [self.data[start:end] for start, end in pairwise(ends)]

    @property
    def last(self) -> Fraction:
        """Return when its last frame is shown."""
        return max(frame.time for frame in self.frames)
