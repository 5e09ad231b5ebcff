"""Tracks: packets of one stream of a source, as the result holds them."""

from fractions import Fraction
from typing import Protocol

import av

AHEAD = 10  # seconds that a source is read ahead of the result


class Track(Protocol):
    """Turns one stream's packets into those of the result."""

    @property
    def notes(self) -> list[str]:
        """Return what went wrong, one sentence each."""
        return []

    def feed(self, packet: av.Packet, shift: Fraction) -> list[av.Packet]:
        """Take a packet of the source; return those that are complete.

        Args:
            packet: of the source.
            shift: seconds to take from its times.
        """

    def due(self, time: Fraction) -> list[av.Packet]:
        """Return the packets that were held back and are due at a time."""
        return []

    def finish(self, end: Fraction, trim: bool) -> list[av.Packet]:
        """Return the packets that are left.

        Args:
            end: of the picture, seconds.
            trim: nothing goes on behind it.
        """
        return []


class CopiedTrack(Track):
    """Copies packets unchanged but for their times.

    Args:
        target: stream of the output.
    """

    def __init__(self, target: av.stream.Stream) -> None:
        self._target = target
        self._ordered = target.type in ('audio', 'subtitle')
        self._last: int | None = None  # decoding time, in ticks
        self._next = 0  # end of the last packet

    def feed(self, packet: av.Packet, shift: Fraction) -> list[av.Packet]:
        """Return the packet with times of the result, rising."""
        ticks = round(shift / packet.time_base)
        if packet.pts is not None:
            packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks
        if packet.dts is None and (self._ordered or packet.pts is None):
            packet.dts = self._next if packet.pts is None else packet.pts
        if packet.dts is not None:
            if self._last is not None:
                packet.dts = max(packet.dts, self._last + 1)
            self._last = packet.dts
            early = packet.pts is None or packet.pts < packet.dts
            packet.pts = packet.dts if early else packet.pts
        self._next = (packet.pts or 0) + max(packet.duration or 1, 1)
        packet.stream = self._target
        return [packet]
