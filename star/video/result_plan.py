"""`plan_result`: decides how frames become a result, before any is there."""

import os
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from star.video.encoder import plan_encoding
from star.video.encoding import Encoding
from star.video.formats import result_kind
from star.video.info import VideoError, VideoInfo
from star.video.pictures.files import PictureFormat, picture_format
from star.video.pictures.sinks import (
    FRAME_NAME,
    lost_streams,
    picture_losses,
    picture_sink,
)
from star.video.pieces import PictureCoder, PieceCoder, VideoCoder
from star.video.sinks import Sink, VideoSink
from star.video.streams.plan import StreamPlan, plan_streams


@dataclass(frozen=True)
class ResultRequest:
    """The result that a user asks for.

    Args:
        codec: FFmpeg's name of the encoder; None to choose.
        crf: constant rate factor, for encoders that have one.
        pix_fmt: FFmpeg's name of the pixel format; None to choose.
        overwrite: replace an existing result.
        trim_streams: end audio and subtitles with the video; for the first
            frames of a longer source.
        mark: sentence for the metadata; '' for none.
    """

    codec: str | None = None
    crf: float = 17
    pix_fmt: str | None = None
    overwrite: bool = False
    trim_streams: bool = False
    mark: str = ''


@dataclass(frozen=True)
class ResultPlan:
    """A plan of how frames become a result.

    Args:
        path: of the result.
        kind: 'video', 'folder' of PNGs, 'image', or 'animation'.
        size: width and height of the frames, pixels.
        source: video that the frames come from; None for none.
        request: what was asked for.
        encoding: settings of a video's encoder; None for pictures.
        streams: what becomes of the source's sound and subtitles.
        notes: what differs from the request or the source, a sentence each.
    """

    path: Path
    kind: str
    size: tuple[int, int]
    source: VideoInfo | None
    request: ResultRequest
    encoding: Encoding | None = None
    streams: StreamPlan = field(default_factory=StreamPlan)
    notes: tuple[str, ...] = ()

    @property
    def depth(self) -> int:
        """Return the bits of frames to restore and write: 8 or 16."""
        if self.encoding is not None:
            return self.encoding.depth
        source = self.source
        if source is None or source.depth <= 8 or source.hdr:
            return 8
        return self._picture.depth

    @property
    def alpha(self) -> bool:
        """Return whether the result holds opacity."""
        if self.encoding is not None:
            return self.encoding.alpha
        return self._picture.alpha

    @property
    def _picture(self) -> PictureFormat:
        return picture_format(self.kind, self.path)

    def make_sink(self, temporary: Path) -> Sink | VideoSink:
        """Make the sink that writes the result under a temporary name."""
        if self.encoding is None:
            return picture_sink(self.kind, temporary, self.source)
        return VideoSink(
            temporary,
            self.encoding,
            self.source,
            self.streams,
            self.request.trim_streams,
            self.request.mark,
        )

    def make_coder(self, last: Fraction | None = None) -> PieceCoder:
        """Make the coder of a piece; see `VideoCoder` for `last`."""
        if self.encoding is None:
            return PictureCoder()
        return VideoCoder(self.encoding, self.path.suffix, last)

    @property
    def losses(self) -> tuple[str, ...]:
        """Return what beside the picture the result cannot hold."""
        if self.encoding is None and self.source is not None:
            return tuple(lost_streams(self.kind, self.source))
        return self.streams.losses

    def check(self) -> None:
        """Refuse a result that exists, or that is the source.

        Raises:
            VideoError: naming the path.
        """
        path, source = self.path, self.source
        known = source is not None and source.path.exists()
        if not path.absolute().parent.is_dir():
            raise VideoError(f'{path}: its folder does not exist')
        if not path.exists():
            return
        if source is not None and known and path.samefile(source.path):
            raise VideoError(f'{path}: source and result are the same')
        if path.is_dir():
            _check_folder(path, self.request.overwrite)
        elif not self.request.overwrite:
            raise VideoError(
                f'{path}: exists already; use --overwrite to replace it'
            )


def plan_result(
    path: str | os.PathLike,
    size: tuple[int, int],
    source: VideoInfo | None,
    request: ResultRequest,
) -> ResultPlan:
    """Decide how frames become a result; nothing is written.

    A path that ends in `/`, has no suffix or is a folder becomes a folder of
    PNGs; with an image's suffix it takes one frame; any other is a video.

    Args:
        path: the result.
        size: width and height of the frames, pixels.
        source: video that the frames come from; None for none.
        request: what the user asks for.

    Raises:
        VideoError: the result cannot be written with these arguments.
    """
    kind = _kind(path, source)
    place = Path(path)
    if kind != 'video':
        lost = tuple(picture_losses(kind, place, source, size))
        return ResultPlan(place, kind, size, source, request, notes=lost)
    encoding, notes = plan_encoding(
        request.codec,
        request.pix_fmt,
        size,
        request.crf,
        source,
        place.suffix,
    )
    streams = StreamPlan()
    if source is not None:
        streams = plan_streams(source, place.suffix)
    return ResultPlan(
        place,
        kind,
        size,
        source,
        request,
        encoding,
        streams,
        (*notes, *streams.notes, *streams.losses),
    )


def _kind(path: str | os.PathLike, source: VideoInfo | None) -> str:
    text, place = os.fspath(path), Path(path)
    if text.endswith(('/', os.sep)) or not place.suffix or place.is_dir():
        return 'folder'
    return result_kind(place, source.codec if source else '')


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
