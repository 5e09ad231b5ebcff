"""Sinks of a `VideoWriter`: their protocol, and that of a video."""

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np

from star.video.coded import CodedFrame, make_packet
from star.video.containers import container_options
from star.video.decode import file_url
from star.video.encoding import Encoding, open_stream
from star.video.info import VideoError, VideoInfo
from star.video.streams.copy import StreamCopier
from star.video.streams.plan import StreamPlan

_FAILURES = (av.FFmpegError, OSError, ValueError)
_TEXTS = ('comment', 'description', 'synopsis')  # of metadata
_APPLE = ('mp4', 'mov', 'ipod')


class Sink(Protocol):
    """Writes frames to a temporary path; complete after `finish`."""

    notes: list[str]

    def begin(self) -> None:
        """Create the temporary result, unless `write` does."""
        return

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None = None,
    ) -> None:
        """Append a frame."""

    def finish(self) -> None:
        """Complete the temporary result, unless `write` does."""
        return

    def discard(self) -> None:
        """Remove the temporary result."""


class VideoSink:
    """Writes coded frames with the source's audio and subtitles.

    Args:
        path: temporary file; its suffix chooses the container.
        encoding: settings of the encoder.
        source: video whose streams are copied; None for no streams.
        streams: what becomes of them.
        trim: end the streams with the video.
        mark: sentence for the metadata; '' for none.

    Attributes:
        expected_end: of the picture, seconds; None if it is not known when
            the sink begins.
    """

    def __init__(
        self,
        path: Path,
        encoding: Encoding,
        source: VideoInfo | None = None,
        streams: StreamPlan | None = None,
        trim: bool = False,
        mark: str = '',
    ) -> None:
        self.notes: list[str] = []
        self._path, self._encoding, self._trim = path, encoding, trim
        self._source, self._plan = source, streams
        self._cut = streams.cut if streams is not None else Fraction(0)
        self._mark = mark
        self._copier: StreamCopier | None = None
        self._end = Fraction(0)
        self._first: int | None = None  # when decoding begins, in ticks
        self._held: av.Packet | None = None  # the last one so far
        self.expected_end: Fraction | None = None
        self._output = av.open(
            file_url(path),
            'w',
            container_options=container_options(path.suffix),
        )
        try:
            self._stream = open_stream(self._output, encoding)
        except ValueError as error:
            reason = f'{path.suffix} cannot hold {encoding.codec}'
            raise VideoError(f'{reason} ({error})') from error
        if self._output.format.name in _APPLE:
            ticks = min(encoding.time_base.denominator, 1 << 20)
            self._output.container_options['movie_timescale'] = str(ticks)

    @property
    def header(self) -> bytes:
        """Return the codec's header, known after `begin`."""
        return self._stream.codec_context.extradata or b''

    def begin(self) -> None:
        """Add the source's streams and write the header."""
        source, plan = self._source, self._plan
        if source is not None and plan is not None and source.kind == 'video':
            end = self.expected_end if self._trim else None
            self._copier = StreamCopier(
                source.path, self._output, source.start, plan, end
            )
        self._add_mark()
        self._output.start_encoding()

    def _add_mark(self) -> None:
        """Write the mark where the source has no text of its own."""
        metadata = self._output.metadata
        taken = {key.lower() for key in metadata}  # Matroska's are capitals
        free = [key for key in _TEXTS if key not in taken]
        if self._mark and free:
            metadata[free[0]] = self._mark

    def mux(self, frame: CodedFrame, data: bytes, decoded: Fraction) -> None:
        """Add a coded frame, and copy the packets up to its time.

        Args:
            frame: its time, duration and kind.
            data: the frame.
            decoded: seconds, rising from frame to frame.
        """
        base = self._encoding.time_base
        packet = make_packet(data, frame.extra)
        packet.time_base, packet.stream = base, self._stream
        packet.pts = round((frame.time - self._cut) / base)
        packet.dts = round((decoded - self._cut) / base)
        packet.duration = round(frame.duration / base)
        packet.is_keyframe = frame.is_key
        self._end = max(self._end, frame.time + frame.duration)
        self._put(packet)
        if self._copier is not None:
            self._copier.copy_until(frame.time)

    def finish(self) -> None:
        """Copy the rest of the streams and close."""
        self._put_last()
        if self._copier is not None:
            self._copier.copy_rest(self._end, self._trim)
            self.notes += [
                n for n in self._copier.notes if n not in self.notes
            ]
            self._copier.close()
        self._output.close()

    def _put(self, packet: av.Packet) -> None:
        """Write the packet before, now that it is not the last one."""
        held, self._held = self._held, packet
        if self._first is None:
            self._first = packet.dts
        if held is not None:
            self._output.mux(held)

    def _put_last(self) -> None:
        """Write the last packet.

        In a MOV or MP4 it ends the picture, also if it is not shown last: the
        track is as long as its packets last in the order of decoding.
        """
        packet, self._held = self._held, None
        if packet is None:
            return
        if self._output.format.name in _APPLE and packet.pts is not None:
            end = round((self._end - self._cut) / packet.time_base)
            lasts = end - packet.pts
            if lasts > (packet.duration or 0) and packet.dts is not None:
                lasts = end - packet.dts + (self._first or 0)
            packet.duration = max(packet.duration or 0, lasts)
        self._output.mux(packet)

    def discard(self) -> None:
        """Close and remove the temporary file."""
        if self._copier is not None:
            self._copier.close()
        with suppress(*_FAILURES):  # the file is removed anyway
            self._output.close()
        self._path.unlink(missing_ok=True)
