"""All versions of a clip in one video, which keeps them in step."""

import base64
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from star.report.frames import ClipVersion, Size, read_frames, reduced
from star.video.info import VideoInfo
from star.video.io import VideoWriter

_CRF = 18  # of x264
_BLOCK = 16  # sides of its blocks: no block has pixels of two versions


@dataclass(frozen=True)
class PlayedClip:
    """A video with the versions of a clip in a grid, row by row.

    Args:
        url: data URL of an MP4 file.
        names: of the versions.
        columns: of the grid.
        size: height and width of a version.
        cell: height and width of the grid's cells; a version lies in the
            upper left corner of its cell.
        frames: their number.
        fps: frames per second.
    """

    url: str
    names: list[str]
    columns: int
    size: Size
    cell: Size
    frames: int
    fps: float


def make_played_clip(
    versions: Sequence[ClipVersion],
    size: Size,
    num_frames: int,
    longest: int,
    fps: float | None,
) -> PlayedClip:
    """Encode the versions of a clip as one video in H.264.

    Args:
        versions: at least one.
        size: height and width of the clip; other versions are resized to it.
        num_frames: of the video; fewer if a version has fewer.
        longest: largest side of a version in the video, in pixels.
        fps: frames per second; None for 25.

    Raises:
        VideoError: a version cannot be read.
    """
    height, width = (max(2, s - s % 2) for s in reduced(size, longest))
    cell = _rounded_up(height), _rounded_up(width)
    columns = math.ceil(math.sqrt(len(versions)))
    rows = math.ceil(len(versions) / columns)
    whole = columns * cell[1], rows * cell[0]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        streams = [
            stack.enter_context(closing(read_frames(v.path, size, num_frames)))
            for v in versions
        ]
        path = Path(folder) / 'clip.mp4'
        info = VideoInfo.of_clip(path.parent, *whole, fps)
        with VideoWriter(path, *whole, info, crf=_CRF) as writer:
            sheets = _sheets(streams, (height, width), cell, columns)
            for index, sheet in enumerate(sheets):
                start = index * info.frame_duration
                writer.write(sheet, Fraction(start), info.frame_duration)
        code = base64.b64encode(path.read_bytes()).decode('ascii')
        frames = writer.num_frames
    return PlayedClip(
        url=f'data:video/mp4;base64,{code}',
        names=[version.name for version in versions],
        columns=columns,
        size=(height, width),
        cell=cell,
        frames=frames,
        fps=float(1 / info.frame_duration),
    )


def _sheets(
    streams: Sequence[Iterator[Image.Image]],
    size: Size,
    cell: Size,
    columns: int,
) -> Iterator[np.ndarray]:
    """Put the frames of the versions, one at a time, in a grid."""
    height, width = size
    rows = math.ceil(len(streams) / columns)
    below, right = cell[0] - height, cell[1] - width
    # the shortest version ends all
    for images in zip(*streams, strict=False):
        sheet = np.zeros((rows * cell[0], columns * cell[1], 3), np.uint8)
        for i, image in enumerate(images):
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.LANCZOS)
            top, left = (i // columns) * cell[0], (i % columns) * cell[1]
            pad = ((0, below), (0, right), (0, 0))
            tile = np.pad(np.asarray(image), pad, mode='edge')
            sheet[top : top + cell[0], left : left + cell[1]] = tile
        yield sheet


def _rounded_up(side: int) -> int:
    return -(-side // _BLOCK) * _BLOCK
