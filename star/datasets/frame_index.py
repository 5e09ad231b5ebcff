"""`FrameIndex`: which packet of a video holds which frame."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import av

from star.video.decode import open_input, pick_stream
from star.video.info import VideoError, explain
from star.video.io import count_frames
from star.video.timing.clocks import choose_clock

_NAL_CODECS = ('h264', 'hevc')
# each packet of these gives one frame, with the packet's time
_SEEKABLE_CODECS = (*_NAL_CODECS, 'vp9', 'av1')
_KEYED_FORMATS = ('mov', 'matroska')
_MOST_REORDERED = 16  # places; pictures that H.264 and HEVC decoders hold


class Start(NamedTuple):
    """A packet from which every later frame decodes as in sequence.

    Args:
        time: when its frame is shown, in ticks.
        place: what to seek to, in ticks.
        size: bytes.
    """

    time: int
    place: int
    size: int


@dataclass(frozen=True)
class FrameIndex:
    """Frames of a video in order of display.

    Args:
        num_frames: number of frames that decoding from the first one gives.
        times: of the frames, in ticks; empty if the packets do not prove
            which frames decoding gives, so that it must be from the first.
        starts: where decoding may start, in order.
        is_closed: whether no picture crosses a key frame, in a container
            that lists its key frames.
    """

    num_frames: int
    times: Sequence[int] = ()
    starts: Sequence[Start] = ()
    is_closed: bool = False

    def start_before(self, time: int) -> Start | None:
        """Return the last start that is shown no later than a time."""
        before = [start for start in self.starts if start.time <= time]
        return before[-1] if before else None

    def number_of(self, start: Start) -> int:
        """Return the number of the first frame that a start gives."""
        return bisect_left(self.times, start.time)


@dataclass(frozen=True)
class _Packet:
    time: int | None
    place: int | None
    size: int
    is_hidden: bool
    is_key: bool
    nal_type: int | None = None  # of a key frame's first slice


def index_frames(path: Path, seekable: bool) -> FrameIndex:
    """Index the frames of a video.

    Its packets are listed without decoding them. If they do not prove which
    frames come in which order, all are decoded, once for each process.

    Args:
        path: the video.
        seekable: whether frames may be read from a key frame on.

    Raises:
        VideoError: the video cannot be read, or must be decoded and is
            damaged.
    """
    index = _from_packets(path) if seekable else None
    if index is not None:
        return index
    return FrameIndex(_count(path, *_stamp(path)))


def is_intact(path: Path) -> bool:
    """Return whether all frames decode; they do so once for each process."""
    try:
        return _count(path, *_stamp(path)) > 0
    except VideoError:
        return False


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=65536)
def _count(path: Path, size: int, modified: int) -> int:
    """Count the frames of a file, which size and time of change identify."""
    return count_frames(path)


def _from_packets(path: Path) -> FrameIndex | None:
    """Index the frames; return None if the packets prove nothing."""
    with open_input(path) as container:
        stream = pick_stream(container, path)
        codec = stream.codec_context.name
        # AVI's times are the numbers of its chunks
        if codec not in _SEEKABLE_CODECS or container.format.name == 'avi':
            return None
        keyed = container.format.name.startswith(_KEYED_FORMATS)
        extradata = bytes(stream.codec_context.extradata or b'')
        prefix = _prefix_size(codec, extradata)
        clock = choose_clock(container, stream)
        packets = []
        try:
            for packet in container.demux(stream):
                if packet.size and clock.read(packet):
                    return None  # the clock starts anew
                if packet.size:
                    packets.append(_describe(packet, codec, prefix))
        except av.FFmpegError as error:
            raise VideoError(
                f'{path}: cannot be read ({explain(error)})'
            ) from error
    index = _order(codec, packets) if packets else None
    return index if index is None or keyed else replace(index, is_closed=False)


def _describe(packet: av.Packet, codec: str, prefix: int) -> _Packet:
    place = packet.pts if packet.dts is None else packet.dts
    nal_type = None
    if packet.is_keyframe and codec in _NAL_CODECS:
        nal_type = _slice_type(bytes(packet), codec, prefix)
    return _Packet(
        packet.pts,
        place,
        packet.size,
        packet.is_discard,
        packet.is_keyframe,
        nal_type,
    )


def _order(codec: str, packets: list[_Packet]) -> FrameIndex | None:
    """Order the frames; return None if the packets prove no order."""
    stored = [p.time for p in packets if p.time is not None]
    ranks = {time: rank for rank, time in enumerate(sorted(stored))}
    if len(ranks) < len(packets) or any(
        abs(ranks[time] - i) > _MOST_REORDERED for i, time in enumerate(stored)
    ):
        return None
    times = sorted(
        time
        for time, packet in zip(stored, packets, strict=True)
        if not packet.is_hidden
    )
    starts = _starts(codec, packets, stored)
    # pictures before the first key frame may not be decodable
    if not times or not starts or times[0] < stored[0]:
        return None
    closed = all(p.nal_type in (None, *_idr(codec)) for p in packets)
    is_closed = closed and not any(p.is_hidden for p in packets)
    return FrameIndex(len(times), times, starts, is_closed)


def _starts(
    codec: str, packets: list[_Packet], times: list[int]
) -> list[Start]:
    """List the starts; none if frames are shown before an earlier start's.

    Packets behind a start hold frames that are shown later than all those of
    the packets before it, unless the clock was set back.
    """
    starts: list[Start] = []
    high = floor = min(times) - 1
    for packet, time in zip(packets, times, strict=True):
        if _is_start(codec, packet):
            floor = high
            assert packet.place is not None
            starts.append(Start(time, packet.place, packet.size))
        if not starts or time <= floor:
            return []
        high = max(high, time)
    return starts


def _is_start(codec: str, packet: _Packet) -> bool:
    """Return whether the standard lets decoding start here.

    H.264's other key frames only promise that pictures recover.
    """
    if codec == 'hevc':
        return packet.nal_type in range(16, 22)  # BLA, IDR and CRA
    if codec == 'h264':
        return packet.nal_type in _idr(codec)
    return packet.is_key


def _idr(codec: str) -> tuple[int, ...]:
    return (5,) if codec == 'h264' else (19, 20)


def _prefix_size(codec: str, extradata: bytes) -> int:
    """Return the bytes of a NAL unit's length; 0 if start codes divide."""
    at = {'h264': 4, 'hevc': 21}.get(codec, 0)
    if extradata[:1] != b'\1' or len(extradata) <= at:
        return 0
    return (extradata[at] & 3) + 1


def _slice_type(data: bytes, codec: str, prefix: int) -> int | None:
    """Return the type of a packet's first NAL unit that holds pixels."""
    units = _prefixed(data, prefix) if prefix else _start_coded(data)
    for at in units:
        kind = data[at] & 31 if codec == 'h264' else data[at] >> 1 & 63
        if kind in (range(1, 6) if codec == 'h264' else range(32)):
            return kind
    return None


def _prefixed(data: bytes, prefix: int) -> Iterator[int]:
    at = 0
    while at + prefix < len(data):
        yield at + prefix
        at += prefix + int.from_bytes(data[at : at + prefix], 'big')


def _start_coded(data: bytes) -> Iterator[int]:
    at = data.find(b'\0\0\1')
    while 0 <= at < len(data) - 3:
        yield at + 3
        at = data.find(b'\0\0\1', at + 3)
