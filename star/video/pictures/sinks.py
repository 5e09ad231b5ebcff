"""Sinks that write pictures: a folder of PNGs, one image, an animation."""

import re
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from star.video.info import VideoError, VideoInfo
from star.video.pictures.animations import open_animation
from star.video.pictures.facts import PictureFacts, read_facts
from star.video.pictures.files import (
    PictureFormat,
    encode_picture,
    picture_format,
)
from star.video.pixels import depth_notes
from star.video.probing import list_images
from star.video.sinks import Sink

FRAME_NAME = re.compile(r'\d{8}\.png')  # of a folder's images


class FolderSink(Sink):
    """Writes numbered PNGs into a temporary folder.

    Args:
        path: temporary folder.
        source: video that the frames come from.
    """

    def __init__(self, path: Path, source: VideoInfo | None) -> None:
        self.notes: list[str] = []
        self._path, self._count = path, 0
        self._facts = PictureFacts(icc=facts_of(source).icc)

    def begin(self) -> None:
        """Create the temporary folder."""
        self._path.mkdir()

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None = None,
    ) -> None:
        """Write one PNG."""
        path = self._path / f'{self._count:08d}.png'
        _save(path, encode_picture('.png', image, alpha, self._facts))
        self._count += 1

    def discard(self) -> None:
        """Remove the temporary folder."""
        shutil.rmtree(self._path, ignore_errors=True)


class ImageSink(Sink):
    """Writes a single frame as an image.

    Args:
        path: temporary file; its suffix chooses the format.
        source: video that the frame comes from.
    """

    def __init__(self, path: Path, source: VideoInfo | None) -> None:
        self.notes: list[str] = []
        self._facts = facts_of(source)
        self._path, self._written = path, False

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None = None,
    ) -> None:
        """Write the frame."""
        if self._written:
            raise VideoError(
                f'{self._path.suffix} holds a single frame; for more, name a '
                'folder or a video'
            )
        data = encode_picture(self._path.suffix, image, alpha, self._facts)
        _save(self._path, data)
        self._written = True

    def discard(self) -> None:
        """Remove the temporary file."""
        self._path.unlink(missing_ok=True)


class AnimationSink(Sink):
    """Writes a GIF, an APNG or a WebP, which moves or holds one frame.

    Args:
        path: temporary file; its suffix chooses the format.
        source: video that the frames come from.
    """

    def __init__(self, path: Path, source: VideoInfo | None) -> None:
        self.notes: list[str] = []
        facts = facts_of(source)
        base = source.time_base if source else Fraction(1, 1000)
        self._path, self._facts = path, facts
        self._file = open_animation(path, base, facts.loops)
        self._still: tuple[np.ndarray, np.ndarray | None] | None = None
        self._count = 0

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None = None,
    ) -> None:
        """Append a frame."""
        self._file.write(image, time, duration, alpha)
        self._still = (image, alpha) if not self._count else None
        self._count += 1

    def finish(self) -> None:
        """Write the file; one frame of most is an ordinary picture."""
        suffix = self._path.suffix.lower()
        if suffix in ('.webp', '.avif') and self._still is not None:
            data = encode_picture(suffix, *self._still, self._facts)
            _save(self._path, data)
        else:
            self._file.finish()

    def discard(self) -> None:
        """Remove the temporary file."""
        self._path.unlink(missing_ok=True)


def facts_of(source: VideoInfo | None) -> PictureFacts:
    """Read what the results of a picture or folder of pictures keep."""
    if source is None:
        return PictureFacts()
    path = source.path
    if source.kind == 'folder':
        images = list_images(path) if path.is_dir() else []
        path = images[0] if images else path
    return read_facts(path) if path.is_file() else PictureFacts()


def picture_sink(kind: str, path: Path, source: VideoInfo | None) -> Sink:
    """Make the sink of a result that is no video.

    Args:
        kind: 'folder', 'image' or 'animation'.
        path: temporary file or folder.
        source: video that the frames come from; None for none.
    """
    if kind == 'folder':
        return FolderSink(path, source)
    if kind == 'image':
        return ImageSink(path, source)
    return AnimationSink(path, source)


def picture_losses(
    kind: str,
    path: Path,
    source: VideoInfo | None,
    size: tuple[int, int] = (1, 1),
) -> list[str]:
    """List what of a source a result that is no video does not hold.

    Args:
        kind: 'folder', 'image' or 'animation'.
        path: the result; its suffix chooses the format.
        source: video that the frames come from; None for none.
        size: width and height of the result, pixels.

    Raises:
        VideoError: pictures of this format and size cannot be written.
    """
    is_folder = kind == 'folder'
    found = picture_format(kind, path)
    if max(size) > found.side:
        raise VideoError(
            f'{path}: {path.suffix} holds at most {found.side} pixels a side, '
            'but the result is {}x{}; .png holds it'.format(*size)
        )
    if source is None:
        return []
    facts = facts_of(source)
    if kind == 'animation' and source.kind != 'image':
        found = replace(found, icc=False, exif=False)
    notes = [*_video_losses(kind, source), *facts.notes]
    notes += _pixel_losses(path.suffix, found, source)
    if facts.icc and not found.icc:
        notes.append(f'the colour profile is not kept in {path.suffix}')
    if facts.exif and (is_folder or not found.exif):
        notes.append(
            f'EXIF data is not kept in {path.suffix or _describe(kind)}'
        )
    return notes


def lost_streams(kind: str, source: VideoInfo) -> list[str]:
    """List the streams that a result that is no video does not hold.

    Args:
        kind: 'folder', 'image' or 'animation'.
        source: video that the frames come from.
    """
    if not source.has_audio and not source.num_subtitles:
        return []
    return [f'audio and subtitles are not kept in {_describe(kind)}']


def _describe(kind: str) -> str:
    return 'a folder of images' if kind == 'folder' else 'an image'


def _pixel_losses(
    suffix: str, found: PictureFormat, source: VideoInfo
) -> list[str]:
    notes = []
    if source.hdr:
        notes += depth_notes(source.depth, source.color_transfer)
    elif source.depth > 8 and found.depth == 8:
        bits = source.depth
        notes.append(f'{bits} bits become 8 in {suffix}; .png keeps them')
    if source.has_alpha and not found.alpha:
        notes.append(f'transparency is not kept in {suffix}; .png keeps it')
    if found.name == 'GIF':
        notes.append('a GIF has 256 colours in each frame')
    return notes


def _video_losses(kind: str, source: VideoInfo) -> list[str]:
    if source.kind != 'video':
        return []
    what = _describe(kind)
    notes = lost_streams(kind, source)
    if source.sample_aspect_ratio != 1:
        ratio = source.sample_aspect_ratio
        notes.append(f'pixel aspect ratio {ratio} is not kept in {what}')
    return notes


def _save(path: Path, data: bytes) -> None:
    with open(path, 'xb') as file:
        file.write(data)
