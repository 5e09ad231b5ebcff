"""Coded pieces of a result: each is complete in itself, and all are joined.

A result is coded piece by piece whether or not it is ever interrupted, so
that its bytes do not depend on where it was.
"""

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import chain
from typing import Protocol

import av
import cv2
import numpy as np

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
        self._packets: list[av.Packet] = []

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
        frame = self._encoding.make_frame(image, alpha)
        frame.pts, frame.time_base = pts, base
        self._durations[pts] = max(1, round(duration / base))
        self._last = pts
        self._packets += self._stream.encode(frame)

    def finish(self) -> CodedPiece:
        """Encode delayed frames and return the piece."""
        self._packets += self._stream.encode(None)
        base = self._encoding.time_base
        frames, data = [], []
        for packet in self._packets:
            assert packet.pts is not None
            ticks = self._durations[packet.pts]
            content, extra = packet_bytes(packet)
            data.append(content)
            frames.append(
                CodedFrame(
                    len(content),
                    packet.pts * base,
                    ticks * base,
                    packet.is_keyframe,
                    extra,
                )
            )
        header = self._stream.codec_context.extradata or b''
        return CodedPiece(frames, b''.join(data), header)


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
    every = list(chain(*frames))
    decoding = iter(decoding_times([frame.time for frame in every]))
    end = max(frame.time + frame.duration for frame in every)
    left = len(every)
    for i in range(len(frames)):
        piece = read(i)
        if piece.header != sink.header:
            raise VideoError(
                'the encoder has changed since the restoration began; give '
                '--overwrite to begin anew'
            )
        for frame, data in zip(piece.frames, piece.split(), strict=True):
            left -= 1
            sink.mux(frame, data, next(decoding), None if left else end)


def decoding_times(times: Sequence[Fraction]) -> list[Fraction]:
    """Choose when each frame is decoded: rising, and before it is shown.

    Args:
        times: when frames are shown, in the order of decoding.

    Returns:
        The times of the frames that are shown one or several places earlier;
        the first ones are as far apart as the two first frames.
    """
    shown = sorted(times)
    place = {time: i for i, time in enumerate(shown)}
    delay = max((i - place[t] for i, t in enumerate(times)), default=0)
    step = shown[1] - shown[0] if len(shown) > 1 else Fraction(1)
    early = [shown[0] - step * i for i in range(delay, 0, -1)]
    return [*early, *shown][: len(times)]
