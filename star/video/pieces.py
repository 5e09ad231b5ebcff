"""Coded pieces of a result: each is complete in itself, and all are joined.

A result is coded piece by piece whether or not it is ever interrupted, so
that its bytes do not depend on where it was.
"""

import io
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from typing import Protocol

import av
import cv2
import numpy as np
from av.video.frame import PictureType

from star.video.coded import CodedFrame, CodedPiece, packet_bytes
from star.video.encoding import Encoding, open_stream
from star.video.info import VideoError
from star.video.sinks import Sink, VideoSink

_FASTEST = [cv2.IMWRITE_PNG_COMPRESSION, 1]


class PieceCoder(Protocol):
    """Codes the frames of one piece."""

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None = None,
    ) -> None:
        """Append a frame; see `VideoWriter.write`."""

    def finish(self) -> CodedPiece:
        """Return the piece; nothing is written afterwards."""


class VideoCoder:
    """Codes a piece as a result's codec has it.

    Args:
        encoding: settings of the encoder.
        suffix: of the result, such as '.mp4'.
        last: when the last frame of the piece before is shown; None for the
            first piece.
    """

    def __init__(
        self, encoding: Encoding, suffix: str, last: Fraction | None = None
    ) -> None:
        self._encoding = encoding
        file = io.BytesIO()
        file.name = f'x{suffix}'  # nothing is written to it
        self._output = av.open(file, 'w')
        self._stream = open_stream(self._output, encoding)
        base = encoding.time_base
        self._last = None if last is None else round(last / base)
        self._durations: dict[int, int] = {}  # in ticks, by time
        self._frames: list[CodedFrame] = []
        self._data: list[bytes] = []
        self._held: deque[av.VideoFrame] = deque()
        self._most = 2 if encoding.b_frames else 0  # frames held back
        self._count = 0  # frames that went to the encoder

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None = None,
    ) -> None:
        """Encode a frame."""
        base = self._encoding.time_base
        pts = round(time / base)
        if self._last is not None and pts <= self._last:
            pts = self._last + 1  # two frames in one tick of the clock
        if self._most and len(self._held) == self._most:
            self._encode(self._held.popleft())
        frame = self._encoding.make_frame(image, alpha)
        frame.pts, frame.time_base = pts, base
        self._durations[pts] = max(1, round(duration / base))
        self._last = pts
        if self._most:
            self._held.append(frame)
        else:
            self._encode(frame)

    def finish(self) -> CodedPiece:
        """Encode delayed frames and return the piece."""
        if len(self._held) == 2 and self._count:
            # so that what is shown last is decoded last: a MOV ends with it
            self._held[0].pict_type = PictureType.P
        while self._held:
            self._encode(self._held.popleft())
        self._keep(self._stream.encode(None))
        header = self._stream.codec_context.extradata or b''
        with suppress(av.FFmpegError, ValueError):  # nothing is in it
            # frees the encoder now, not when Python looks for cycles
            self._output.close()
        return CodedPiece(self._frames, b''.join(self._data), header)

    def _encode(self, frame: av.VideoFrame) -> None:
        self._keep(self._stream.encode(frame))
        self._count += 1

    def _keep(self, packets: list[av.Packet]) -> None:
        """Copy packets, whose own memory may be larger than their bytes."""
        base = self._encoding.time_base
        for packet in packets:
            assert packet.pts is not None
            ticks = self._durations.pop(packet.pts)
            content, extra = packet_bytes(packet)
            self._data.append(content)
            self._frames.append(
                CodedFrame(
                    len(content),
                    packet.pts * base,
                    ticks * base,
                    packet.is_keyframe,
                    extra,
                )
            )


class PictureCoder:
    """Codes a piece without loss, for results that are written at the end."""

    def __init__(self) -> None:
        self._frames: list[CodedFrame] = []
        self._data: list[bytes] = []

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None = None,
    ) -> None:
        """Code a frame as PNG."""
        layers = image[..., ::-1]
        if alpha is not None:
            layers = np.dstack([layers, alpha])
        done, data = cv2.imencode('.png', layers, _FASTEST)
        assert done
        self._data.append(data.tobytes())
        self._frames.append(CodedFrame(data.size, time, duration))

    def finish(self) -> CodedPiece:
        """Return the piece."""
        return CodedPiece(self._frames, b''.join(self._data))


def join_pictures(
    sink: Sink, count: int, read: Callable[[int], CodedPiece]
) -> None:
    """Write the pieces of `PictureCoder` to a sink that has begun.

    Args:
        sink: of the result.
        count: number of pieces.
        read: returns a piece by its number.
    """
    for i in range(count):
        piece = read(i)
        for frame, data in zip(piece.frames, piece.split(), strict=True):
            layers = cv2.imdecode(
                np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED
            )
            assert layers is not None
            alpha = layers[..., 3] if layers.shape[2] == 4 else None
            image = np.ascontiguousarray(layers[..., 2::-1])
            sink.write(image, frame.time, frame.duration, alpha)


def join_video(
    sink: VideoSink,
    frames: Sequence[Sequence[CodedFrame]],
    read: Callable[[int], CodedPiece],
) -> None:
    """Write the pieces of `VideoCoder` to a sink that has begun.

    Args:
        sink: of the result.
        frames: of each piece.
        read: returns a piece by its number.

    Raises:
        VideoError: the pieces were not coded alike.
    """
    times = [frame.time for frame in chain(*frames)]
    decoding = iter(decoding_times(times))
    for i in range(len(frames)):
        piece = read(i)
        if piece.header != sink.header:
            raise VideoError(
                'the encoder has changed since the restoration began; give '
                '--overwrite to begin anew'
            )
        for frame, data in zip(piece.frames, piece.split(), strict=True):
            sink.mux(frame, data, next(decoding))


def decoding_times(times: Sequence[Fraction]) -> list[Fraction]:
    """Choose when each frame is decoded: rising, and before it is shown.

    Args:
        times: when frames are shown, in the order of decoding.

    Returns:
        The times of the frames that are shown one or several places earlier.
        The first frame is decoded as long before it is shown as the last one,
        so that decoding takes as long as showing, which ends a MOV.
    """
    shown = sorted(times)
    place = {time: i for i, time in enumerate(shown)}
    delay = max((i - place[t] for i, t in enumerate(times)), default=0)
    lead = shown[-1] - shown[-1 - delay] if shown else Fraction(0)
    step = lead / max(1, delay)
    early = [shown[0] - step * i for i in range(delay, 0, -1)]
    return [*early, *shown][: len(times)]
