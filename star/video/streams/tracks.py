"""Tracks: packets of one stream of a source, as the result holds them."""

from fractions import Fraction
from typing import Protocol

import av

from star.video.streams.rules import is_quicktime

AHEAD = 10  # seconds that a source is read ahead of the result

_AC3_HEADER, _AC3, _EAC3 = 7, 10, 16  # bytes; highest stream ids
_WITH_HEADERS = ('ac3', 'eac3')  # MP4 stops at a packet without a header


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
        self._target, self._faults = target, 0
        context = target.codec_context
        name = context.codec.canonical_name if context is not None else ''
        self._checked = name in _WITH_HEADERS and is_quicktime(target)
        self._ordered = target.type in ('audio', 'subtitle')
        flags = av.format.Flags(target.container.format.flags)
        self._equal = av.format.Flags.ts_nonstrict in flags
        self._last: int | None = None  # decoding time, in ticks
        self._next = 0  # end of the last packet

    @property
    def notes(self) -> list[str]:
        """Return a sentence about damage, if there was any."""
        name, count = f'audio stream {self._target.index}', self._faults
        return [f'{name}: {count} damaged packets are left out'] * bool(count)

    def feed(self, packet: av.Packet, shift: Fraction) -> list[av.Packet]:
        """Return the packet with times of the result, in order."""
        if self._checked and not _has_ac3_header(bytes(packet)):
            self._faults += 1
            return []
        if not self._equal and self._ordered:
            _refine(packet, self._target.time_base)
        ticks = round(shift / packet.time_base)
        if packet.pts is not None:
            packet.pts -= ticks
        if packet.dts is not None:
            packet.dts -= ticks
        if packet.dts is None and (self._ordered or packet.pts is None):
            packet.dts = self._next if packet.pts is None else packet.pts
        if packet.dts is not None:
            if self._last is not None:
                least = self._last + (not self._equal)
                packet.dts = max(packet.dts, least)
            self._last = packet.dts
            early = packet.pts is None or packet.pts < packet.dts
            packet.pts = packet.dts if early else packet.pts
        self._next = (packet.pts or 0) + max(packet.duration or 1, 1)
        packet.stream = self._target
        return [packet]


def _refine(packet: av.Packet, base: Fraction | None) -> None:
    """Count a packet's times in ticks of `base`, if those are finer.

    TrueHD has more packets than Matroska has milliseconds: made to rise in
    those, its sound would last longer and longer.
    """
    if base is None or packet.time_base <= base:
        return
    ratio = packet.time_base / base
    if packet.pts is not None:
        packet.pts = round(packet.pts * ratio)
    if packet.dts is not None:
        packet.dts = round(packet.dts * ratio)
    packet.duration = round((packet.duration or 0) * ratio)
    packet.time_base = base


def _has_ac3_header(data: bytes) -> bool:
    """Return whether a packet begins with a header of AC-3 or E-AC-3."""
    if len(data) < _AC3_HEADER or data[:2] != b'\x0b\x77':
        return False
    rate, size, stream_id = data[4] >> 6, data[4] & 63, data[5] >> 3
    if stream_id > _EAC3:
        return False
    if stream_id <= _AC3:
        return rate < 3 and size < 38
    length = 2 * ((data[2] & 7) << 8 | data[3]) + 2
    return data[2] >> 6 < 3 and length > _AC3_HEADER
