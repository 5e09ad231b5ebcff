"""`StreamCopier`: copies audio and subtitles of one file into another."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from star.video.decode import open_input
from star.video.info import explain
from star.video.stream_plan import StreamPlan

_REFUSED = (av.FFmpegError, OSError, ValueError)
_LATE = 10  # seconds that interleaved streams may lie apart
_OWN_METADATA = ('encoder', 'major_brand', 'minor_version', 'duration')


class StreamCopier:
    """Copies a file's audio and subtitle packets into an output, unchanged.

    Args:
        source: file to copy from.
        output: container to copy to; its video stream exists already.
        start: seconds on the source's clock that are zero in the output.
        plan: from `plan_streams`, for the output's container.

    Attributes:
        notes: which streams end early and why, one sentence each.
    """

    def __init__(
        self,
        source: Path,
        output: av.container.OutputContainer,
        start: Fraction,
        plan: StreamPlan,
    ) -> None:
        self._input = open_input(source)
        self._output, self._start = output, start
        self.notes: list[str] = []
        self._targets = self._add_streams(plan)
        self._last_dts: dict[int, int] = {}
        self._packets = self._read()
        self._next = next(self._packets, None)
        self._copy_metadata()

    def close(self) -> None:
        """Close the source."""
        self._input.close()

    def copy_until(self, time: Fraction) -> None:
        """Copy the packets that begin up to a time, in output seconds."""
        while self._next is not None and self._time(self._next) <= time:
            self._copy(self._next)
            self._next = next(self._packets, None)

    def copy_rest(self, end: Fraction | None) -> None:
        """Copy the remaining packets, or those that begin before `end` s."""
        while self._next is not None:
            time = self._time(self._next)
            if end is not None and time >= end + _LATE:
                return
            if end is None or time < end:
                self._copy(self._next)
            self._next = next(self._packets, None)

    def _add_streams(self, plan: StreamPlan) -> dict[int, av.stream.Stream]:
        targets = {}
        for route in plan.routes:
            stream = self._input.streams[route.index]
            target = self._output.add_stream_from_template(stream)
            target.metadata.update(_clean(stream.metadata))
            target.disposition = stream.disposition
            if stream.type != 'attachment':
                targets[stream.index] = target
        return targets

    def _copy_metadata(self) -> None:
        self._output.metadata.update(_clean(self._input.metadata))
        chapters = self._input.chapters()
        if chapters and not self._start:
            self._output.set_chapters(chapters)

    def _read(self) -> Iterator[av.Packet]:
        streams = [self._input.streams[i] for i in self._targets]
        if not streams:
            return
        try:
            for packet in self._input.demux(streams):
                if packet.size and self._stamp(packet) is not None:
                    yield packet
        except _REFUSED as error:
            self.notes.append(f'audio ends early ({explain(error)})')

    @staticmethod
    def _stamp(packet: av.Packet) -> int | None:
        return packet.pts if packet.pts is not None else packet.dts

    def _time(self, packet: av.Packet) -> Fraction:
        return (self._stamp(packet) or 0) * packet.time_base - self._start

    def _copy(self, packet: av.Packet) -> None:
        index = packet.stream.index
        if index not in self._targets:
            return
        shift = round(self._start / packet.time_base)
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
            if index in self._last_dts:
                packet.dts = max(packet.dts, self._last_dts[index] + 1)
            self._last_dts[index] = packet.dts
            packet.pts = max(packet.pts or packet.dts, packet.dts)
        packet.stream = self._targets[index]
        try:
            self._output.mux(packet)
        except (av.FFmpegError, ValueError) as error:
            del self._targets[index]
            self.notes.append(f'stream {index} ends early ({explain(error)})')


def _clean(metadata: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in metadata.items() if k not in _OWN_METADATA}
