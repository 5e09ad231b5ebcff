"""`CodedPiece`: consecutive frames of a result, coded without any others."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

import av
from av.packet import (
    PacketSideData,
    packet_sidedata_type_from_literal,
)

_BESIDE: Final = 'matroska_block_additional'


class CodedFrame(NamedTuple):
    """One coded frame of a piece.

    Args:
        size: bytes.
        time: seconds since the start of the result.
        duration: seconds on screen, > 0.
        is_key: whether it is decoded without others.
        extra: how many of the bytes, at their end, belong to its opacity,
            which WebM keeps beside the frame.
    """

    size: int
    time: Fraction
    duration: Fraction
    is_key: bool = True
    extra: int = 0


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


def packet_bytes(packet: av.Packet) -> tuple[bytes, int]:
    """Return a packet's bytes, those of its opacity last, and their number.

    The other way is `make_packet`.
    """
    if not packet.has_sidedata(_BESIDE):
        return bytes(packet), 0
    extra = bytes(packet.get_sidedata(_BESIDE))  # type: ignore[arg-type]
    return bytes(packet) + extra, len(extra)


def make_packet(data: bytes, extra: int) -> av.Packet:
    """Make a packet of the bytes of a frame.

    Args:
        data: result of `packet_bytes`.
        extra: how many of the bytes belong to its opacity.
    """
    if not extra:
        return av.Packet(data)
    packet = av.Packet(data[:-extra])
    kind = packet_sidedata_type_from_literal(_BESIDE)
    beside = PacketSideData(kind, extra)  # type: ignore[call-arg]
    beside.update(data[-extra:])
    packet.set_sidedata(beside)
    return packet
