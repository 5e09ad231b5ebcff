"""`StreamCopier`: brings the streams of one file into another."""

from collections.abc import Iterator
from fractions import Fraction
from heapq import heappop, heappush
from pathlib import Path

import av
from av.subtitles.stream import SubtitleStream

from star.video.decode import open_input, pick_stream
from star.video.info import explain
from star.video.streams import rules as rules
from star.video.streams.labels import (
    allow_all,
    copied_chapters,
    copy_labels,
    file_labels,
)
from star.video.streams.plan import ATTACHED, Route, StreamPlan
from star.video.streams.sound import SoundTrack
from star.video.streams.targets import add_cover, add_target
from star.video.streams.text import TextTrack
from star.video.streams.tracks import AHEAD, CopiedTrack, Track
from star.video.timing.clocks import FollowingClocks, find_restarts
from star.video.timing.edits import HiddenSound

_UNREADABLE = (av.FFmpegError, OSError, ValueError)
_REFUSED = (av.error.InvalidDataError, av.error.ArgumentError, ValueError)
_MOST_BYTES, _MOST_PACKETS = 1 << 25, 20_000  # read ahead of their time


class StreamCopier:
    """Copies or encodes a file's streams beside the picture into an output.

    Args:
        source: file to copy from.
        output: container to copy to; its video stream exists already.
        start: seconds on the source's clock that are zero in the output.
        plan: from `plan_streams`, for the output's container.
        end: of the output in seconds, where it is known; chapters behind it
            are left out.

    Attributes:
        notes: which streams end early and why, one sentence each.
    """

    def __init__(
        self,
        source: Path,
        output: av.container.OutputContainer,
        start: Fraction,
        plan: StreamPlan,
        end: Fraction | None = None,
    ) -> None:
        self._source, self._output = source, output
        self._start, self._cut = start + plan.cut, plan.cut
        self._end = None if end is None else end - plan.cut
        self._input = open_input(source)
        self.notes: list[str] = []
        self._tracks: dict[int, Track] = {}
        self._copy_labels()
        for route in plan.routes:
            self._add(route)
        with open_input(source) as video:
            restarts = find_restarts(video, pick_stream(video, source))
        self._clocks = FollowingClocks(restarts)
        shown = rules.is_quicktime(output.streams[0])
        self._hidden = HiddenSound(can_hide=shown)
        self._queue = _Queue(self._read(), *self._kinds())

    def close(self) -> None:
        """Close the source."""
        self._input.close()

    def copy_until(self, time: Fraction) -> None:
        """Copy the packets that begin up to a time, in output seconds."""
        time -= self._cut
        for packet, shift in self._queue.until(time):
            self._copy(packet, shift)
        for index, track in list(self._tracks.items()):
            self._mux(index, track.due(time))

    def copy_rest(self, end: Fraction, trim: bool) -> None:
        """Copy the remaining packets.

        Args:
            end: of the picture, in output seconds.
            trim: leave out what begins behind it.
        """
        end -= self._cut
        for packet, shift in self._queue.until(end + AHEAD if trim else None):
            time = _time(packet, shift)
            if not trim or time is None or time < end:
                self._copy(packet, shift)
        for index, track in list(self._tracks.items()):
            self._mux(index, track.finish(end, trim))
            self.notes += track.notes

    def _copy_labels(self) -> None:
        """Copy what belongs to the file and to its picture."""
        container = self._output.format.name
        self._output.metadata.update(file_labels(self._input))
        allow_all(self._output)
        chapters = copied_chapters(self._input, self._start, self._end)
        self._output.set_chapters(chapters)
        shown = pick_stream(self._input, self._source)
        picture = self._output.streams[0]
        copy_labels(shown, picture, container)
        if container == 'avi' and 'timecode' in picture.metadata:
            self._output.metadata['timecode'] = picture.metadata['timecode']

    def _add(self, route: Route) -> None:
        stream = self._input.streams[route.index]
        if route.encoder == ATTACHED:
            add_cover(stream, self._picture(route.index), self._output)
            return
        target = add_target(stream, route.encoder, self._output)
        copy_labels(stream, target, self._output.format.name)
        if stream.type == 'attachment':
            return
        track: Track = CopiedTrack(target)
        if isinstance(target, av.AudioStream) and route.encoder:
            assert isinstance(stream, av.AudioStream)
            track = SoundTrack(stream, target, self._end)
        elif isinstance(target, SubtitleStream):
            assert isinstance(stream, SubtitleStream)
            if not rules.is_bitmap(stream):
                encoded = bool(route.encoder)
                track = TextTrack(stream, target, encoded, self._end)
        self._tracks[route.index] = track

    def _picture(self, index: int) -> bytes:
        """Read a cover, which the header has to hold."""
        with open_input(self._source) as container:
            packets = container.demux(container.streams[index])
            return next((bytes(p) for p in packets if p.size), b'')

    def _kinds(self) -> tuple[set[int], set[int]]:
        """Return the streams that go on all the time, and those of text."""
        steady: set[int] = set()
        text: set[int] = set()
        for index, track in self._tracks.items():
            stream = self._input.streams[index]
            if isinstance(track, TextTrack):
                text.add(index)
            elif stream.type != 'subtitle' and not rules.is_cover(stream):
                steady.add(index)
        return steady, text

    def _read(self) -> Iterator[tuple[av.Packet, Fraction]]:
        """Yield packets, and the seconds to take from their times."""
        streams = [self._input.streams[i] for i in self._tracks]
        if not streams:
            return
        try:
            for read in self._input.demux(streams):
                for packet in self._heard(read):
                    moved = self._clocks.shift_of(packet)
                    if moved is not None:
                        yield packet, self._start - moved
        except _UNREADABLE as error:
            self.notes.append(f'audio ends early ({explain(error)})')

    def _heard(self, packet: av.Packet) -> list[av.Packet]:
        if not packet.size:
            return []
        track = self._tracks.get(packet.stream_index)
        copied = isinstance(track, CopiedTrack)
        return self._hidden.admit(packet) if copied else [packet]

    def _copy(self, packet: av.Packet, shift: Fraction) -> None:
        index = packet.stream.index
        if index in self._tracks:
            self._mux(index, self._tracks[index].feed(packet, shift))

    def _mux(self, index: int, packets: list[av.Packet]) -> None:
        try:
            self._output.mux(packets)
        except _REFUSED as error:
            del self._tracks[index]
            self.notes.append(f'stream {index} ends early ({explain(error)})')


class _Queue:
    """Sorts packets by decoding time, as far as memory allows.

    Args:
        packets: with their shifts, in the file's order.
        steady: streams to wait for; others have a packet now and then.
        early: streams whose packets are not held back.
    """

    def __init__(
        self,
        packets: Iterator[tuple[av.Packet, Fraction]],
        steady: set[int],
        early: set[int],
    ) -> None:
        self._packets, self._early = packets, early
        self._reached = dict.fromkeys(steady, Fraction(-1))
        self._latest = Fraction(-1)
        self._held: list[tuple[Fraction, int, av.Packet, Fraction]] = []
        self._bytes = self._count = 0

    def until(
        self, time: Fraction | None
    ) -> Iterator[tuple[av.Packet, Fraction]]:
        """Yield the packets that begin up to a time; None for all."""
        while True:
            more = self._fill(time)
            if self._held and (time is None or self._held[0][0] <= time):
                _, _, packet, shift = heappop(self._held)
                self._bytes -= packet.size
                yield packet, shift
            elif not more:
                return

    def _fill(self, time: Fraction | None) -> bool:
        """Read a packet, unless enough is known; return whether it did."""
        full = self._bytes > _MOST_BYTES or len(self._held) > _MOST_PACKETS
        reached = min(self._reached.values(), default=self._latest)
        if full or (time is not None and reached > time + AHEAD):
            return False
        item = next(self._packets, None)
        if item is None:
            return False
        packet, shift = item
        index = packet.stream.index
        stamp = packet.dts if packet.dts is not None else packet.pts
        begin = self._reached.get(index, self._latest)
        if stamp is not None:
            begin = stamp * packet.time_base - shift
        if index in self._reached:  # its packets keep their order
            begin = max(self._reached[index], begin)
            self._reached[index] = begin
        self._latest = max(self._latest, begin)
        self._count += 1
        self._bytes += packet.size
        place = Fraction(-1) if index in self._early else begin
        heappush(self._held, (place, self._count, packet, shift))
        return True


def _time(packet: av.Packet, shift: Fraction) -> Fraction | None:
    """Return when a packet begins, in output seconds."""
    stamp = packet.pts if packet.pts is not None else packet.dts
    return None if stamp is None else stamp * packet.time_base - shift
