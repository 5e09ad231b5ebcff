"""When the picture and the sound of a file begin, and how long they last."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av

from star.video.decode import Decoder, open_input, pick_stream
from star.video.timing.clocks import FollowingClocks, find_restarts

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
        sound_frame: seconds of its first frame; an encoder's delay is as
            long, and not all containers hide it.
    """

    picture_start: Fraction | None = None
    picture_seconds: Fraction = Fraction(0)
    sound_start: Fraction | None = None
    sound_seconds: Fraction = Fraction(0)
    sound_frame: Fraction = Fraction(0)

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
        restarts = find_restarts(container, pick_stream(container, path))
    with closing(open_input(path)) as container:
        streams = [pick_stream(container, path), *container.streams.audio[:1]]
        indices = [stream.index for stream in streams]
        ends = _ends(container, streams, FollowingClocks(restarts))
    starts, frame = [_first_picture(path)], Fraction(0)
    for index in indices[1:]:
        first, frame = _first_sound(path, index)
        starts.append(first)
    lengths = [
        _length(start, ends[index])
        for start, index in zip(starts, indices, strict=True)
    ]
    if len(starts) == 1 or starts[1] is None:
        return StreamTimes(starts[0], lengths[0])
    return StreamTimes(starts[0], lengths[0], starts[1], lengths[1], frame)


def _first_picture(path: Path) -> Fraction | None:
    """Decode the first frame of a video and return its time."""
    decoder = Decoder(path, strict=False)
    with closing(decoder):
        first = next(decoder.frames(), None)
        base = decoder.stream.time_base
        if first is None or first.pts is None or base is None:
            return None
        return first.pts * base


def _first_sound(path: Path, index: int) -> tuple[Fraction | None, Fraction]:
    """Decode the first frame of a stream; return its time and seconds."""
    with closing(open_input(path)) as container:
        stream = container.streams[index]
        for packet in islice(container.demux(stream), _FEW):
            for frame in _decode(packet):
                assert isinstance(frame, av.AudioFrame)
                if frame.pts is not None and frame.time_base:
                    length = Fraction(frame.samples, frame.sample_rate)
                    return frame.pts * frame.time_base, length
    return None, Fraction(0)


def _decode(packet: av.Packet) -> Iterator[av.frame.Frame]:
    try:
        yield from packet.decode()
    except av.FFmpegError:  # damage: the next packet may do
        return


def _ends(
    container: av.container.InputContainer,
    streams: Sequence[av.stream.Stream],
    clocks: FollowingClocks,
) -> dict[int, tuple[Fraction, Fraction]]:
    """Return the end of each stream, and the sum of its packets' times."""
    ends = {stream.index: (Fraction(0), Fraction(0)) for stream in streams}
    latest = dict.fromkeys(ends, Fraction(-1))
    is_avi = container.format.name == 'avi'  # which has no pts
    for packet in container.demux(streams):
        ticks = packet.dts if is_avi else packet.pts
        if not packet.size or ticks is None or packet.is_discard:
            continue  # the last ones of all streams are empty
        index, base = packet.stream_index, packet.time_base
        shift = clocks.shift_of(packet)
        if not base or shift is None:
            continue
        length = (packet.duration or 0) * base
        time, (end, total) = ticks * base + shift, ends[index]
        if time >= latest[index]:  # the others may last until a later packet
            latest[index], end = time, time + length
        ends[index] = end, total + length
    shown = streams[0]
    if is_avi and shown.duration and shown.time_base:
        # the last chunks may repeat the picture
        end, total = ends[shown.index]
        ends[shown.index] = max(end, shown.duration * shown.time_base), total
    return ends


def _length(
    start: Fraction | None, end: tuple[Fraction, Fraction]
) -> Fraction:
    """Return a stream's seconds; a clock that restarts counts for nothing."""
    last, total = end
    return max(last - start, Fraction(0)) if start is not None else total
