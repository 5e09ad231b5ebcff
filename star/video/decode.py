"""`Decoder`: decodes a file's video and counts the damaged frames."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av

from star.video.colour.alpha import alpha_decoder
from star.video.info import VideoError, explain
from star.video.pictures.reading import open_picture, openable
from star.video.timing.clocks import Clock, choose_clock, timed_streams
from star.video.timing.file_ends import missing_bytes
from star.video.timing.part_start import PartStart

_UNREADABLE = (av.FFmpegError, OSError, ValueError, RuntimeError)
_OPEN = {'pattern_type': 'none'}  # a '%' in a name is only that
_LONGEST = 60  # seconds that a header is believed to add to a frame
_LAST_PACKETS = 2  # before a place where parts may have been joined
_IMAGE_FORMATS = ('_pipe', 'image2')
_PICTURES = ('png', 'apng', 'mjpeg', 'webp')  # may hold an ICC profile
_ONE_TO_ONE = (  # codecs with one frame in each packet
    *('h264', 'hevc', 'vvc', 'mpeg1video', 'mpeg2video', 'flv', 'mjpeg'),
    *('wmv1', 'wmv2', 'prores', 'dnxhd', 'ffv1', 'huffyuv', 'ffvhuff'),
    *('utvideo', 'rawvideo', 'png'),
)


def open_input(path: Path) -> av.container.InputContainer:
    """Open a file for reading.

    Raises:
        VideoError: it is missing, empty, or in an unknown format.
    """
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise VideoError(f'{path}: not a regular file')
        if os.path.getsize(path) == 0:
            raise VideoError(f'{path}: the file is empty')
        source = openable(path, file_url(path))
        container = av.open(
            source, 'r', options=_OPEN, metadata_errors='ignore'
        )
    except VideoError:
        raise
    except FileNotFoundError:
        raise VideoError(f'{path}: no such file') from None
    except _UNREADABLE as error:
        reason = _open_log(path) or explain(error)
        raise VideoError(f'{path}: cannot be opened ({reason})') from error
    if container.format.name == 'tty':  # FFmpeg draws any .txt file
        container.close()
        raise VideoError(f'{path}: a text file, not a video')
    return container


def file_url(path: Path) -> str:
    """Return a file's URL, in which FFmpeg reads no ':' as a protocol."""
    return f'file:{os.path.abspath(path)}'


def _open_log(path: Path) -> str:
    """Open a bad file again and return what FFmpeg logs, or ''."""
    level, skip = av.logging.get_level(), av.logging.get_skip_repeated()
    try:
        av.logging.set_level(av.logging.ERROR)
        av.logging.set_skip_repeated(False)  # or a second file logs nothing
        with av.logging.Capture() as logs, suppress(*_UNREADABLE):
            av.open(file_url(path), metadata_errors='ignore').close()
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(skip)
    return ' '.join(logs[-1][2].split()) if logs else ''


def pick_stream(
    container: av.container.InputContainer, path: Path
) -> av.VideoStream:
    """Choose the first video stream that is not an attached picture.

    Raises:
        VideoError: there is no such stream, or no decoder for it.
    """
    skip = av.stream.Disposition.attached_pic
    moving = [s for s in container.streams.video if not s.disposition & skip]
    if not moving:
        found = {str(s.type) for s in container.streams} or {'nothing'}
        kinds = ' and '.join(sorted(found))
        raise VideoError(f'{path}: no video stream (it holds {kinds})')
    stream = moving[0]
    if stream.codec_context is None or stream.codec_context.codec is None:
        raise VideoError(f'{path}: no decoder for its video codec')
    return stream


def is_indexed(container: av.container.InputContainer) -> bool:
    """Return whether the file lists all of its frames."""
    return 'mov' in container.format.name


def num_stored(
    container: av.container.InputContainer, stream: av.VideoStream
) -> int:
    """Return how many frames the header promises, 0 if it does not say.

    A MOV's edit list may leave out some of the frames that it counts, and
    repeat others; FFmpeg's index holds those that will be read.
    """
    listed = len(stream.index_entries) if is_indexed(container) else 0
    return listed or stream.frames


class Decoder:
    """Decodes a file's video frame by frame.

    Args:
        path: the file.
        strict: treat damage that FFmpeg would conceal as an error.

    Attributes:
        decoded: number of frames so far.
        damaged: number of those with concealed damage.
        error: first error; None without one.
        clock: puts the frames' times in order; set another one to keep them.
        part: the part of the file that is being decoded.
    """

    def __init__(self, path: Path, strict: bool) -> None:
        self.path, self.strict = path, strict
        self.container = open_input(path)
        try:
            self.stream = pick_stream(self.container, path)
        except VideoError:
            self.container.close()
            raise
        # frame threads report errors late and lose good frames by them
        self._context = codec = alpha_decoder(self.stream)
        codec.thread_type, format_ = 'SLICE', self.container.format.name
        if strict and codec.name != 'tiff':
            flags = 'crccheck+bitstream+buffer+explode'
            codec.options = {'err_detect': flags}
        self.decoded = self.damaged = 0
        self.error: str | None = None
        self._packets = self._hidden = 0
        self.is_image = format_.endswith(_IMAGE_FORMATS)
        facts = image_facts(path) if self.is_image else (None, 1)
        self._orientation, self.num_pages = facts
        if self.is_image or codec.name in _PICTURES:
            self._orientation = self._orientation or 0
        self._interlaced = False
        self._first: tuple[int, int] | None = None
        self.clock: Clock = choose_clock(self.container, self.stream)
        self.part = PartStart(format_, codec.name)
        self._last = 0  # time of the last frame, in ticks
        self._cut_off: set[int | None] = set()  # times of last packets

    def start_at(self, time: int, place: int, size: int) -> None:
        """Decode from one packet on; none is decoded if it is not found.

        Args:
            time: when its frame is shown, in ticks.
            place: what to seek to, in ticks.
            size: its bytes.
        """
        self._first = time, size
        self.container.seek(place, stream=self.stream)

    def seek(self, seconds: Fraction) -> None:
        """Decode from a key frame before a time of the file's clock on."""
        base = self.stream.time_base
        with suppress(av.FFmpegError):  # then it decodes from the beginning
            if base:
                self.container.seek(int(seconds / base), stream=self.stream)

    def close(self) -> None:
        """Close the file."""
        self.container.close()

    def frames(self) -> Iterator[av.VideoFrame]:
        """Yield every frame that decodes; `error` describes a failure.

        Raises:
            VideoError: the file is encrypted.
        """
        for packet in self._demux():
            for frame in self._decode(packet):
                self.decoded += 1
                frame.opaque = self._orientation
                self._interlaced |= frame.interlaced_frame
                if self._is_damaged(frame, packet):
                    self.damaged += 1
                    self._record('damaged data')
                self._hidden -= self.part.is_leading(frame)
                self.clock.show(frame)
                self._last = max(self._last, frame.pts or 0)
                yield frame
        self._check_end()

    def _is_damaged(
        self, frame: av.VideoFrame, packet: av.Packet | None
    ) -> bool:
        marked = [m for m in (frame, packet) if m and m.is_corrupt]
        return any(m.pts not in self._cut_off for m in marked)

    @property
    def expected(self) -> int:
        """Return how many frames the file holds, as far as known."""
        known = max(self._packets, num_stored(self.container, self.stream))
        return max(known - self._hidden, self.decoded)

    @property
    def end(self) -> int | None:
        """Return when the last frame ends, in ticks, if the header knows.

        An AVI may repeat its last frame by chunks without data. In a MOV or
        MP4 the last packet may not hold the last frame.
        """
        length, base = self.stream.duration, self.stream.time_base
        known = self.container.format.name == 'avi' or is_indexed(
            self.container
        )
        if self.error or not known or length is None or base is None:
            return None
        end = (self.stream.start_time or 0) + length
        return end if (end - self._last) * base < _LONGEST else None

    @property
    def notes(self) -> list[str]:
        """Return what was changed so far, one sentence each."""
        notes = self.clock.notes
        if count := self.part.skipped:
            notes.append(
                f'a part of it begins between key frames: its first {count} '
                'frames, which cannot be decoded, are left out'
            )
        return notes

    def _record(self, reason: str) -> None:
        self.error = self.error or reason

    def _demux(self) -> Iterator[av.Packet | None]:
        """Yield packets to decode, and None where the decoder is emptied."""
        for packet, begins in self._trusted():
            if begins:
                yield from self.part.rest()
                yield None
                self.part.begin()
            yield from self.part.admit(packet)
        yield from self.part.rest()
        yield None

    def _read(self) -> Iterator[av.Packet]:
        try:
            streams = timed_streams(self.container, self.stream)
            for packet in self.container.demux(streams):
                if not packet.size:  # the decoder reads it as the end
                    continue
                if packet.stream_index != self.stream.index:
                    self.clock.hear(packet)
                    continue
                if self._first not in (None, (packet.pts, packet.size)):
                    continue  # seeking went to a packet before it
                self._first = None
                if packet.has_sidedata('encryption_info'):
                    raise VideoError(f'{self.path}: the video is encrypted')
                yield packet
        except VideoError:
            raise
        except _UNREADABLE as error:
            self._record(explain(error))

    def _trusted(self) -> Iterator[tuple[av.Packet, bool]]:
        """Yield packets with right times; True where a new part begins.

        FFmpeg calls the last packets before a place corrupt where parts were
        joined, because the numbers of the transport packets jump. If data
        were missing before a key frame, the decoder would notice.
        """
        window: deque[tuple[av.Packet, bool]] = deque()
        for packet in self._read():
            begins = self.clock.read(packet)
            if begins or packet.is_keyframe:
                self._cut_off.update(p.pts for p, _ in window if p.is_corrupt)
            window.append((packet, begins))
            if len(window) > _LAST_PACKETS:
                yield window.popleft()
        yield from window

    def _decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        context = self._context
        leads = packet is not None and self.part.is_leading(packet)
        if packet is not None:
            self._packets += 1
            self._hidden += packet.is_discard or leads
        try:
            frames = context.decode(packet)
        except EOFError:
            frames = []
        except _UNREADABLE as error:
            frames = []
            if not leads:
                self._record(explain(error))
        if packet is None and context.is_open:
            context.flush_buffers()
        return frames

    def _check_end(self) -> None:
        """Record an error if frames or bytes are missing at the end."""
        indexed = is_indexed(self.container)
        if indexed and len(self.stream.index_entries) > self._packets:
            self._record('the file is cut short')
        if missing_bytes(self.path) > 0:
            self._record('the file is cut short')
        countable = self.stream.codec_context.codec.name in _ONE_TO_ONE
        lost = self._packets - self._hidden - self.decoded
        if countable and not self._interlaced and lost > 0:
            self._record('frames are missing')


def image_facts(path: Path) -> tuple[int | None, int]:
    """Read an image's EXIF orientation, None without one, and page count."""
    try:
        with open_picture(path) as image:
            pages = getattr(image, 'n_frames', 1)
            return image.getexif().get(0x0112), pages
    except (OSError, ValueError, SyntaxError):
        return None, 1
