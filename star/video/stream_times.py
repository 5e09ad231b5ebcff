"""When the picture and the sound of a file begin, and how long they last."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from star.video.decode import open_input, pick_stream

_FEW = 500  # packets until a stream's first frame; a file may begin damaged


@dataclass(frozen=True)
class StreamTimes:
    """Times of the first video and of the first audio stream of a file.

    Args:
        picture_start: seconds on the file's clock at which the first picture
            is shown; None if none decodes.
        picture_seconds: from there to the end of the last picture.
        sound_start: seconds on the same clock; None without sound.
        sound_seconds: from there to the end of the sound.
    """

    picture_start: Fraction | None = None
    picture_seconds: Fraction = Fraction(0)
    sound_start: Fraction | None = None
    sound_seconds: Fraction = Fraction(0)

    @property
    def offset(self) -> Fraction | None:
        """Return by how many seconds the sound begins after the picture."""
        if self.sound_start is None or self.picture_start is None:
            return None
        return self.sound_start - self.picture_start


def measure_times(path: Path) -> StreamTimes:
    """Measure the times of a file, from its packets.

    Only the first frames are decoded: an encoder's delay and an edit list
    decide which of them is heard or seen first.

    Raises:
        VideoError: it cannot be opened, or has no video.
    """
    with closing(open_input(path)) as container:
        streams = [pick_stream(container, path), *container.streams.audio[:1]]
        indices = [stream.index for stream in streams]
        ends = _ends(container.demux(streams), indices)
    starts = [_first_time(path, index) for index in indices]
    lengths = [
        _length(start, ends[index])
        for start, index in zip(starts, indices, strict=True)
    ]
    if len(starts) == 1 or starts[1] is None:
        return StreamTimes(starts[0], lengths[0])
    return StreamTimes(starts[0], lengths[0], starts[1], lengths[1])


def _first_time(path: Path, index: int) -> Fraction | None:
    """Decode the first frame of a stream and return its time."""
    with closing(open_input(path)) as container:
        stream = container.streams[index]
        for packet in islice(container.demux(stream), _FEW):
            for frame in _decode(packet):
                if frame.pts is not None and frame.time_base:
                    return frame.pts * frame.time_base
    return None


def _decode(packet: av.Packet) -> Iterator[av.frame.Frame]:
    try:
        yield from packet.decode()
    except av.FFmpegError:  # damage: the next packet may do
        return


def _ends(
    packets: Iterable[av.Packet], indices: Iterable[int]
) -> dict[int, tuple[Fraction, Fraction]]:
    """Return the end of each stream, and the sum of its packets' times."""
    ends = {index: (Fraction(0), Fraction(0)) for index in indices}
    for packet in packets:
        if not packet.size or packet.pts is None or packet.is_discard:
            continue  # the last ones of all streams are empty
        index, base = packet.stream.index, packet.time_base
        if not base:
            continue
        length = (packet.duration or 0) * base
        end, total = ends[index]
        ends[index] = (max(end, packet.pts * base + length), total + length)
    return ends


def _length(
    start: Fraction | None, end: tuple[Fraction, Fraction]
) -> Fraction:
    """Return a stream's seconds; a clock that restarts counts for nothing."""
    last, total = end
    return max(last - start, Fraction(0)) if start is not None else total
