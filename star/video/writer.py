"""`VideoWriter`: writes a video with sound, a folder of PNGs or an image."""

import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from star.utils.files import move, temporary_path
from star.video.encoder import plan_encoding
from star.video.formats import IMAGE_SUFFIXES
from star.video.image_sinks import FRAME_NAME, FolderSink, ImageSink
from star.video.info import VideoError, VideoInfo, explain
from star.video.sinks import Sink, VideoSink

_FAILURES = (av.FFmpegError, OSError, ValueError)


class VideoWriter:
    """Writes frames under a temporary name and renames the complete result.

    A path that ends in `/`, has no suffix or is a folder becomes a folder of
    PNGs; with an image's suffix it takes one frame; any other is a video. Use
    the writer as a context manager: after an exception, or without a frame,
    no file is left. All arguments are checked at construction.

    Args:
        path: the result.
        width: of the frames, pixels.
        height: of the frames, pixels.
        source: video that the frames come from; its clock, pixel aspect,
            colour tags, audio and subtitles are kept. None for no source.
        codec: FFmpeg's name of the encoder.
        crf: constant rate factor, for encoders that have one.
        pix_fmt: pixel format; None takes yuv420p, or the encoder's first.
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
        self._temporary = temporary_path(self.path, keep_suffix=True)
        self._sink: Sink
        if kind == 'video':
            encoding, notes = plan_encoding(
                codec, pix_fmt, self.size, crf, source
            )
            self._notes += notes
            self._sink = VideoSink(
                self._temporary, encoding, source, trim_streams
            )
        elif kind == 'folder':
            self._sink = FolderSink(self._temporary, source)
        else:
            self._sink = ImageSink(self._temporary, source)

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what the result lacks or changes, one sentence each."""
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
            self._sink.write(image, Fraction(time), Fraction(duration))
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
    """Check that a folder holds nothing but frames that we wrote."""
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
