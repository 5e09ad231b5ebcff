"""`Decoder`: decodes a file's video and counts the damaged frames."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import av

from star.video.info import VideoError, explain
from star.video.pictures import openable

_UNREADABLE = (av.FFmpegError, OSError, ValueError, RuntimeError)
_OPEN = {'pattern_type': 'none'}  # a '%' in a name is only that
_IMAGE_FORMATS = ('_pipe', 'image2')
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
        container = av.open(source, options=_OPEN, metadata_errors='ignore')
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
        self.stream.thread_type = 'SLICE'
        if strict and self.stream.codec_context.name != 'tiff':
            flags = 'crccheck+bitstream+buffer+explode'
            self.stream.codec_context.options = {'err_detect': flags}
        self.decoded = self.damaged = 0
        self.error: str | None = None
        self._packets = self._hidden = 0
        self.is_image = self.container.format.name.endswith(_IMAGE_FORMATS)
        facts = image_facts(path) if self.is_image else (None, 1)
        self._orientation, self.num_pages = facts
        self._interlaced = False
        self._first: tuple[int, int] | None = None

    def start_at(self, time: int, place: int, size: int) -> None:
        """Decode from one packet on; none is decoded if it is not found.

        Args:
            time: when its frame is shown, in ticks.
            place: what to seek to, in ticks.
            size: its bytes.
        """
        self._first = time, size
        self.container.seek(place, stream=self.stream)

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
                if frame.is_corrupt or (packet and packet.is_corrupt):
                    self.damaged += 1
                    self._record('damaged data')
                yield frame
        self._check_end()

    @property
    def expected(self) -> int:
        """Return how many frames the file holds, as far as known."""
        known = max(self._packets, num_stored(self.container, self.stream))
        return max(known - self._hidden, self.decoded)

    def _record(self, reason: str) -> None:
        self.error = self.error or reason

    def _demux(self) -> Iterator[av.Packet | None]:
        try:
            for packet in self.container.demux(self.stream):
                if not packet.size:  # the decoder reads it as the end
                    continue
                if self._first not in (None, (packet.pts, packet.size)):
                    continue  # seeking went to a packet before it
                self._first = None
                if packet.has_sidedata('encryption_info'):
                    raise VideoError(f'{self.path}: the video is encrypted')
                self._packets += 1
                self._hidden += packet.is_discard
                yield packet
        except VideoError:
            raise
        except _UNREADABLE as error:
            self._record(explain(error))
        yield None

    def _decode(self, packet: av.Packet | None) -> list[av.VideoFrame]:
        try:
            return self.stream.codec_context.decode(packet)
        except EOFError:
            return []
        except _UNREADABLE as error:
            self._record(explain(error))
            return []

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
    from PIL import Image  # videos need no Pillow

    try:
        with Image.open(path) as image:
            pages = getattr(image, 'n_frames', 1)
            return image.getexif().get(0x0112), pages
    except (OSError, ValueError, SyntaxError):
        return None, 1


def missing_bytes(path: Path) -> int:
    """Count the bytes that a Matroska or RIFF (AVI) file lacks at its end.

    Returns:
        Missing bytes; 0 or less for a complete file, 0 for other formats.
    """
    with open(path, 'rb') as file:
        head = file.read(8)
        if head[:4] == b'RIFF':
            end = 8 + int.from_bytes(head[4:], 'little')
        elif head[:4] == b'\x1a\x45\xdf\xa3':
            end = _matroska_end(file)
        else:
            return 0
        return end - os.path.getsize(path)


def _matroska_end(file: BinaryIO) -> int:
    file.seek(4)
    file.seek(_ebml_size(file), os.SEEK_CUR)
    if file.read(4) != b'\x18\x53\x80\x67':
        return 0
    size = _ebml_size(file)
    return file.tell() + size if size else 0


def _ebml_size(file: BinaryIO) -> int:
    """Read a variable-length size; 0 for an unknown one."""
    first = file.read(1)
    if not first or not first[0]:
        return 0
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), 'big')
    mask = (1 << 7 * length) - 1
    return 0 if value & mask == mask else value & mask
