"""`Trial`: asks FFmpeg what a container holds, without writing a file."""

import io
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice

import av

from star.video.info import explain

REFUSALS = (av.FFmpegError, OSError, ValueError)
_WHOLE = ('matroska', 'webm', 'nut', 'ogg', 'flv')  # metadata of any name
_PICTURES = ('mpeg4', 'flv', 'libvpx', 'mpeg2video', 'libx264')
_SEARCHED, _TRIED = 500, 3  # packets of a file, and of each stream
_Add = Callable[[av.container.OutputContainer], object]


class Trial:
    """A container that is written again and again, to nowhere.

    Args:
        suffix: of the container, such as '.mp4'.

    Attributes:
        suffix: in small letters.
        name: FFmpeg's name of the format, '' if it has none.
    """

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix.lower()
        self._accepted: list[_Add] = []
        self.name = self._picture = ''
        with suppress(*REFUSALS):
            self.name = self._open(io.BytesIO()).format.name
        self._picture = next(filter(self._takes, _PICTURES), '')

    def refusal(self, add: _Add, packets: Sequence[av.Packet] = ()) -> str:
        """Return why a stream does not fit beside the others, or ''.

        A stream that fits is there when the next one is tried.

        Args:
            add: adds the stream and returns it.
            packets: the first ones of the stream, if they are copied.
        """
        if not self.name:
            return 'there is no such container'
        output = self._open(io.BytesIO())
        try:
            self._add_picture(output)
            for each in self._accepted:
                each(output)
            target = add(output)
            output.start_encoding()
            for packet in packets:
                output.mux(_copy(packet, target))
        except REFUSALS as error:
            return explain(error)
        finally:
            with suppress(*REFUSALS):  # nothing was written
                output.close()
        self._accepted.append(add)
        return ''

    def kept(self, fill: _Add) -> tuple[set[str], int] | None:
        """Return which metadata, and how many chapters, come back.

        Args:
            fill: sets the metadata and chapters of a container.

        Returns:
            Names in small letters, and a count; None if all is kept.
        """
        if self.name in _WHOLE:
            return None
        file = io.BytesIO()
        try:
            output = self._open(file)
            self._add_picture(output)
            fill(output)
            output.start_encoding()
            output.close()
            with av.open(io.BytesIO(file.getvalue())) as written:
                names = {name.lower() for name in written.metadata}
                return names, len(written.chapters())
        except REFUSALS:
            return set(), 0

    def _takes(self, picture: str) -> bool:
        self._picture = picture
        taken = not self.refusal(lambda output: None)
        self._accepted.clear()
        return taken

    def _add_picture(self, output: av.container.OutputContainer) -> None:
        """Add the stream of the picture, which some formats ask for."""
        if self._picture:
            output.add_stream(self._picture, rate=25, width=64, height=64)

    def _open(self, file: io.BytesIO) -> av.container.OutputContainer:
        file.name = f'x{self.suffix}'
        return av.open(file, 'w')


def _copy(packet: av.Packet, target: object) -> av.Packet:
    """Return a packet for a stream of the trial."""
    assert isinstance(target, av.stream.Stream)
    copy = av.Packet(bytes(packet))
    copy.time_base, copy.duration = packet.time_base, packet.duration
    copy.pts, copy.dts = packet.pts, packet.dts
    copy.is_keyframe, copy.stream = packet.is_keyframe, target
    return copy


def first_packets(
    container: av.container.InputContainer,
) -> dict[int, list[av.Packet]]:
    """Read the first packets of each stream of sound, pictures or data."""
    kinds = 'video', 'audio', 'data'
    streams = [s for s in container.streams if s.type in kinds]
    found: dict[int, list[av.Packet]] = {s.index: [] for s in streams}
    with suppress(*REFUSALS):  # the reader of the picture says so
        for packet in islice(container.demux(streams), _SEARCHED):
            known = found[packet.stream.index]
            if packet.size and len(known) < _TRIED:
                known.append(packet)
            if all(len(each) == _TRIED for each in found.values()):
                break
    return found
