"""`VideoWriter`: writes a video with sound, a folder of PNGs or an image."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from star.utils.files import move, temporary_path
from star.video.info import VideoError, VideoInfo, explain
from star.video.pieces import join_video
from star.video.result_plan import ResultRequest, plan_result
from star.video.sinks import VideoSink

_FAILURES = (av.FFmpegError, OSError, ValueError)


class VideoWriter:
    """Writes frames under a temporary name and renames the complete result.

    A path that ends in `/`, has no suffix or is a folder becomes a folder of
    PNGs; with an image's suffix it takes one frame; any other is a video. Use
    the writer as a context manager: after an exception, or without a frame,
    no file is left. All arguments are checked at construction. Frames have 8
    bits; a restoration, which keeps depth and HDR, works with `plan_result`.

    Args:
        path: the result.
        width: of the frames, pixels.
        height: of the frames, pixels.
        source: video that the frames come from; its clock, pixel aspect,
            colour tags, audio and subtitles are kept. None for no source.
        codec: FFmpeg's name of the encoder; None to choose.
        crf: constant rate factor, for encoders that have one.
        pix_fmt: FFmpeg's name of the pixel format; None to choose.
        overwrite: replace an existing result.
        trim_streams: end audio and subtitles with the video; for the first
            frames of a longer source.

    Raises:
        VideoError: the result exists, or cannot be written with these
            arguments.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        width: int,
        height: int,
        source: VideoInfo | None = None,
        codec: str | None = None,
        crf: float = 17,
        pix_fmt: str | None = None,
        overwrite: bool = False,
        trim_streams: bool = False,
    ) -> None:
        self.path, self.overwrite = Path(path), overwrite
        self.size = width, height
        self.num_frames = 0
        request = ResultRequest(codec, crf, pix_fmt, overwrite, trim_streams)
        plain = None if source is None else source.as_8_bit()
        self._plan = plan_result(path, self.size, plain, request)
        self._plan.check()
        self._temporary = temporary_path(self.path, keep_suffix=True)
        self._sink = self._plan.make_sink(self._temporary)
        self._coder = self._plan.make_coder()  # of a video, in one piece

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the result lacks or changes, one sentence each."""
        return (*self._plan.notes, *self._sink.notes)

    def __enter__(self) -> 'VideoWriter':
        try:
            self._sink.begin()
        except BaseException as error:
            self._sink.discard()
            self._raise_failure(error)
            raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._sink.discard()
            return
        try:
            if not self.num_frames:
                raise VideoError(f'{self.path}: no frame to write')
            if isinstance(self._sink, VideoSink):
                piece = self._coder.finish()
                join_video(self._sink, [piece.frames], lambda _: piece)
            self._sink.finish()
            self._plan.check()
            move(self._temporary, self.path)
        except BaseException as failure:
            self._sink.discard()
            self._raise_failure(failure)
            raise

    def write(
        self, image: np.ndarray, time: Fraction, duration: Fraction
    ) -> None:
        """Append a frame.

        Args:
            image: pixels, (H, W, 3) uint8 RGB, of the writer's size.
            time: seconds since the start, later than the frame before.
            duration: seconds on screen, > 0.
        """
        width, height = self.size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(
                f'`image` must be ({height}, {width}, 3) uint8, got '
                f'{image.shape} {image.dtype}'
            )
        try:
            sink = self._sink
            target = self._coder if isinstance(sink, VideoSink) else sink
            target.write(image, Fraction(time), Fraction(duration))
        except _FAILURES as error:
            self._raise_failure(error)
            raise
        self.num_frames += 1

    def _raise_failure(self, error: BaseException) -> None:
        """Raise a `VideoError` for an error of the system or of FFmpeg."""
        if isinstance(error, VideoError) or not isinstance(error, _FAILURES):
            return
        reason = explain(error)
        message = f'{self.path}: cannot be written ({reason})'
        raise VideoError(message) from error
