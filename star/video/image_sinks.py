"""Sinks that write pictures: a folder of PNGs, or one image."""

import re
import shutil
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from star.video.info import VideoError, VideoInfo
from star.video.sinks import Sink

FRAME_NAME = re.compile(r'\d{8}\.png')  # of a folder's images


class FolderSink(Sink):
    """Writes numbered PNGs into a temporary folder.

    Args:
        path: temporary folder.
        source: video that the frames come from; `notes` list what is lost.
    """

    def __init__(self, path: Path, source: VideoInfo | None) -> None:
        self.notes = _losses(source, 'a folder of images')
        self._path, self._count = path, 0

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
        _write_image(self._path / f'{self._count:08d}.png', image)
        self._count += 1

    def discard(self) -> None:
        """Remove the temporary folder."""
        shutil.rmtree(self._path, ignore_errors=True)


class ImageSink(Sink):
    """Writes a single frame as an image.

    Args:
        path: temporary file; its suffix chooses the format.
        source: video that the frame comes from; `notes` list what is lost.
    """

    def __init__(self, path: Path, source: VideoInfo | None) -> None:
        self.notes = _losses(source, 'an image')
        self._path, self._written = path, False
        if not cv2.haveImageWriter(f'x{path.suffix}'):
            raise VideoError(
                f'{path.suffix}: no image format that can be written'
            )

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
        _write_image(self._path, image)
        self._written = True

    def discard(self) -> None:
        """Remove the temporary file."""
        self._path.unlink(missing_ok=True)


def _write_image(path: Path, image: np.ndarray) -> None:
    done, data = cv2.imencode(path.suffix, image[..., ::-1])
    if not done:
        raise VideoError(f'{path.suffix}: the image cannot be encoded')
    with open(path, 'xb') as file:
        file.write(data.tobytes())


def _losses(source: VideoInfo | None, what: str) -> list[str]:
    if source is None or source.kind != 'video':
        return []
    notes = []
    if source.has_audio or source.num_subtitles:
        notes.append(f'audio and subtitles are not kept in {what}')
    if source.sample_aspect_ratio != 1:
        ratio = source.sample_aspect_ratio
        notes.append(f'pixel aspect ratio {ratio} is not kept in {what}')
    return notes
