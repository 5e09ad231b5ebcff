"""Clocks of files whose timestamps cannot be taken as they stand.

An AVI numbers its chunks. A transport or program stream that was joined from
parts has a clock that starts anew with each part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av

JOINED_FORMATS = ('mpegts', 'mpeg')  # FFmpeg's names of their formats
_LONGEST_PAUSE = 5  # seconds; a longer one is a clock that was set forward
_FAR = 2  # seconds; by a larger jump a packet's part is seen from its time


class Clock(Protocol):
    """Puts the times of a video stream in order, while it is decoded."""

    @property
    def notes(self) -> list[str]:
        """Return what was changed so far, one sentence each."""

    def hear(self, packet: av.Packet) -> None:
        """Note the time of the next packet of sound."""

    def read(self, packet: av.Packet) -> bool:
        """Correct the next packet; return whether a new part begins."""

    def show(self, frame: av.VideoFrame) -> None:
        """Correct the time of the next frame."""


class PlainClock(Clock):
    """Leaves all times as they are."""

    @property
    def notes(self) -> list[str]:
        """Return nothing."""
        return []

    def hear(self, packet: av.Packet) -> None:
        """Change nothing."""

    def read(self, packet: av.Packet) -> bool:
        """Return False."""
        return False

    def show(self, frame: av.VideoFrame) -> None:
        """Change nothing."""


class ChunkClock(PlainClock):
    """Times AVI's frames by the chunks that hold them.

    A chunk without data repeats the frame before. FFmpeg gives each packet
    its chunk's number, and each frame that of the packet at which the decoder
    gave it: where the decoder reorders frames, a fixed number later.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._delay: int | None = None
        self._last = -1

    def read(self, packet: av.Packet) -> bool:
        """Note the number of the first chunk; an AVI has no parts."""
        if self._first is None:
            self._first = packet.dts
        return False

    def show(self, frame: av.VideoFrame) -> None:
        """Set a frame's time to the number of its chunk."""
        chunk = frame.dts
        if chunk is not None and self._first is not None:
            if self._delay is None:
                self._delay = chunk - self._first
            chunk = max(chunk - self._delay, self._last + 1)
        # the last frames come when all packets were read
        self._last = self._last + 1 if chunk is None else chunk
        frame.pts = self._last


@dataclass(frozen=True)
class Restart:
    """A place where a stream's clock starts anew.

    Args:
        before: seconds on the file's clock, last of the part before.
        after: seconds on the file's clock, first of the new part.
        shift: seconds to add to the times from here on.
        place: byte of the file at which the new part's video begins.
        left: byte of the file at which the last packet of video of the part
            before begins.
    """

    before: Fraction
    after: Fraction
    shift: Fraction
    place: int | None
    left: int | None = None


class JoinedClock(PlainClock):
    """Puts the parts of a joined file one after the other.

    The first frame of a part follows the last one of the part before. A part
    begins where the clock is set back, and where it is set forward by seconds
    unless sound fills them: then the picture stands still.

    Attributes:
        restarts: those found so far.
    """

    def __init__(self, rate: Fraction | None) -> None:
        self.restarts: list[Restart] = []
        self._step = 1 / (rate or Fraction(25))
        self._last: Fraction | None = None
        self._place: int | None = None
        self._begin = self._end = Fraction(0)  # of what was seen, corrected
        self._heard: tuple[Fraction, Fraction] | None = None  # without a gap

    @property
    def notes(self) -> list[str]:
        """Return where the clock starts anew."""
        if not self.restarts:
            return []
        first = self.restarts[0]
        return [
            f'its clock starts anew at {len(self.restarts)} place(s), first '
            f'after {float(first.before - self._begin):.2f} s: the parts '
            'follow one another, picture and sound alike'
        ]

    def read(self, packet: av.Packet) -> bool:
        """Add its part's shift to a packet; return whether one begins."""
        time = _decoding_time(packet)
        if time is None or packet.time_base is None:
            return False
        shown = time if packet.pts is None else packet.pts * packet.time_base
        begins = self._last is not None and self._jumps(self._last, time)
        if self._last is None:
            self._begin, self._end = time, shown
        elif begins:
            shift = self._end - shown
            self.restarts.append(
                Restart(self._last, time, shift, packet.pos, self._place)
            )
        self._last, self._place = time, packet.pos
        shift = self.restarts[-1].shift if self.restarts else Fraction(0)
        self._end = max(self._end, shown + shift + self._step)
        move(packet, shift)
        return begins

    def hear(self, packet: av.Packet) -> None:
        """Note since when the sound has had no gap."""
        time = _decoding_time(packet)
        if time is None:
            return
        start, last = self._heard or (time, time)
        self._heard = (start if 0 <= time - last < 1 else time), time

    def _jumps(self, last: Fraction, time: Fraction) -> bool:
        if time - last <= _LONGEST_PAUSE:
            return time - last <= -self._step / 2
        start, end = self._heard or (time, time)
        return not (start <= last + 1 and end >= (last + time) / 2)


class FollowingClocks:
    """Shifts the streams beside the video of a joined file as it was.

    Args:
        restarts: of the video.
    """

    def __init__(self, restarts: Sequence[Restart]) -> None:
        self._restarts = restarts
        self._clocks: dict[int, _FollowingClock] = {}

    def shift_of(self, packet: av.Packet) -> Fraction | None:
        """Return the seconds to add to the times of the next packet.

        It is None for sound that would be heard together with the end of the
        part before, and has to be left out.
        """
        if not self._restarts:
            return Fraction(0)
        clock = self._clocks.setdefault(
            packet.stream_index, _FollowingClock(self._restarts)
        )
        return clock.shift_of(packet)


class _FollowingClock:
    """Shifts one stream; see `FollowingClocks`."""

    def __init__(self, restarts: Sequence[Restart]) -> None:
        self._coming, self._shift = list(restarts), Fraction(0)
        self._place = 0
        self._end: Fraction | None = None  # of the sound
        self._last: Fraction | None = None  # as stored

    def shift_of(self, packet: av.Packet) -> Fraction | None:
        time = _decoding_time(packet)
        self._place = packet.pos if packet.pos is not None else self._place
        if time is None:
            return self._shift
        while self._coming and self._has_begun(self._coming[0], time):
            self._shift, self._last = self._coming.pop(0).shift, None
        self._last = time
        if packet.stream.type != 'audio' or packet.time_base is None:
            return self._shift
        start = time + self._shift
        length = (packet.duration or 0) * packet.time_base
        if self._end is not None and start + length / 2 < self._end:
            return None
        self._end = start + length
        return self._shift

    def _has_begun(self, restart: Restart, time: Fraction) -> bool:
        # streams change over at places that differ by some packets; a large
        # jump shows in the time, but parts may begin with the same time
        set_back = self._last is not None and time < self._last
        place, left = restart.place, restart.left
        if abs(restart.after - restart.before) > _FAR:
            nearer = abs(time - restart.after) < abs(time - restart.before)
            behind = left is not None and self._place > left
            forward = restart.after > restart.before
            return nearer and (behind or set_back or forward)
        return place is not None and (
            self._place >= place
            or (set_back and left is not None and self._place > left)
        )


def find_restarts(
    container: av.container.InputContainer, stream: av.VideoStream
) -> list[Restart]:
    """Read a joined file to its end and list where its clock starts anew."""
    clock = choose_clock(container, stream)
    if not isinstance(clock, JoinedClock):
        return []
    for packet in container.demux(timed_streams(container, stream)):
        if packet.size and packet.stream_index == stream.index:
            clock.read(packet)
        elif packet.size:
            clock.hear(packet)
    return clock.restarts


def timed_streams(
    container: av.container.InputContainer, stream: av.VideoStream
) -> list[av.stream.Stream]:
    """Return a video stream, and the sound that its clock has to hear."""
    joined = container.format.name in JOINED_FORMATS
    return [stream, *(container.streams.audio[:1] if joined else [])]


def choose_clock(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Clock:
    """Return the clock that a file's video needs."""
    if container.format.name == 'avi':
        return ChunkClock()
    if container.format.name in JOINED_FORMATS:
        return JoinedClock(_rate(stream))
    return PlainClock()


def move(packet: av.Packet, seconds: Fraction) -> None:
    """Add seconds to the times of a packet."""
    if not seconds or packet.time_base is None:
        return
    ticks = round(seconds / packet.time_base)
    if packet.pts is not None:
        packet.pts += ticks
    if packet.dts is not None:
        packet.dts += ticks


def _decoding_time(packet: av.Packet) -> Fraction | None:
    ticks = packet.pts if packet.dts is None else packet.dts
    if ticks is None or packet.time_base is None:
        return None
    return ticks * packet.time_base


def _rate(stream: av.VideoStream) -> Fraction | None:
    return stream.average_rate or stream.guessed_rate
