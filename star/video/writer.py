"""Write frames to a video with its sound, to a folder of PNGs, or an image."""

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from star.utils.files import move, temporary_path
from star.video.encoder import plan_encoding
from star.video.info import IMAGE_SUFFIXES, VideoError, VideoInfo, explain
from star.video.sinks import (
    FRAME_NAME,
    FolderSink,
    ImageSink,
    Sink,
    VideoSink,
)

_FAILURES = (av.FFmpegError, OSError, ValueError)


class VideoWriter:
    """Write frames under a temporary name, renamed once all are there.

    A path that ends in `/`, has no suffix or is a folder becomes a folder of
    PNGs; an image's suffix takes a single frame; anything else is a video.
    Use it as a context manager: leaving it by an exception, or without a
    frame, leaves no file behind. Everything asked for is checked on
    construction.

    Args:
        path: where the result goes.
        width: of the frames, pixels.
        height: of the frames, pixels.
        source: video that the frames come from: its clock, pixel aspect,
            colour tags, audio and subtitles are kept; None for none.
        codec: FFmpeg's name of the encoder.
        crf: constant rate factor, for encoders that have one.
        pix_fmt: pixel format; None takes yuv420p, or the encoder's first.
        overwrite: allow an existing result to be replaced.
        trim_streams: end audio and subtitles with the video, for when only
            the first frames of the source are written.

    Raises:
        VideoError: the result exists, or cannot be written as asked.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        width: int,
        height: int,
        source: VideoInfo | None = None,
        codec: str = 'libx264',
        crf: float = 17,
        pix_fmt: str | None = None,
        overwrite: bool = False,
        trim_streams: bool = False,
    ) -> None:
        kind = _kind(path)
        self.path, self.overwrite = Path(path), overwrite
        self.size = width, height
        self.num_frames = 0
        self._notes: list[str] = []
        self._check(source)
        self._part = temporary_path(self.path, keep_suffix=True)
        self._sink: Sink
        if kind == 'video':
            encoding, notes = plan_encoding(
                codec, pix_fmt, self.size, crf, source
            )
            self._notes += notes
            self._sink = VideoSink(self._part, encoding, source, trim_streams)
        elif kind == 'folder':
            self._sink = FolderSink(self._part, source)
        else:
            self._sink = ImageSink(self._part, source)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the result lacks or has changed, a sentence each."""
        return (*self._notes, *self._sink.notes)

    def __enter__(self) -> 'VideoWriter':
        try:
            self._sink.begin()
        except BaseException as error:
            self._sink.discard()
            self._raise_failure(error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._sink.discard()
            return
        try:
            if not self.num_frames:
                raise VideoError(f'{self.path}: no frame to write')
            self._sink.finish()
            self._check(None)
            move(self._part, self.path)
        except BaseException as failure:
            self._sink.discard()
            self._raise_failure(failure)
            raise

    def write(
        self, image: np.ndarray, time: Fraction, duration: Fraction
    ) -> None:
        """Append a frame.

        Args:
            image: pixels, (H, W, 3) uint8 RGB, of the size given before.
            time: seconds at which it appears, later than the last one.
            duration: seconds that it stays, > 0.
        """
        width, height = self.size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(
                f'`image` must be ({height}, {width}, 3) uint8, got '
                f'{image.shape} {image.dtype}'
            )
        try:
            self._sink.write(image, Fraction(time), Fraction(duration))
        except _FAILURES as error:
            self._raise_failure(error)
            raise
        self.num_frames += 1

    def _raise_failure(self, error: BaseException) -> None:
        """Raise a `VideoError` for what the system or FFmpeg refuses."""
        if isinstance(error, VideoError) or not isinstance(error, _FAILURES):
            return
        reason = explain(error)
        message = f'{self.path}: cannot be written ({reason})'
        raise VideoError(message) from error

    def _check(self, source: VideoInfo | None) -> None:
        path = self.path
        if not path.absolute().parent.is_dir():
            raise VideoError(f'{path}: its folder does not exist')
        if not path.exists():
            return
        if source is not None and path.samefile(source.path):
            raise VideoError(f'{path}: source and result are the same')
        if path.is_dir():
            _check_folder(path, self.overwrite)
        elif not self.overwrite:
            raise VideoError(
                f'{path}: exists already; use --overwrite to replace it'
            )


def _kind(path: str | os.PathLike) -> str:
    text = os.fspath(path)
    suffix = Path(path).suffix.lower()
    if text.endswith(('/', os.sep)) or not suffix or os.path.isdir(path):
        return 'folder'
    return 'image' if suffix in IMAGE_SUFFIXES else 'video'


def _check_folder(path: Path, overwrite: bool) -> None:
    """Refuse to replace a folder that holds anything but our own frames."""
    names = os.listdir(path)
    if names and not overwrite:
        raise VideoError(
            f'{path}: the folder is not empty; use --overwrite to replace it'
        )
    foreign = [n for n in names if not FRAME_NAME.fullmatch(n)]
    if foreign:
        raise VideoError(
            f'{path}: the folder holds other files, such as {foreign[0]}, '
            'and is not replaced'
        )
