"""What is known of a video, one of its frames, and the error of both ways."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

DEFAULT_RATE = Fraction(25)  # frames a second where nothing says otherwise
IMAGE_SUFFIXES = (
    *('.png', '.jpg', '.jpeg', '.jpe', '.webp', '.tif', '.tiff', '.bmp'),
    *('.ppm', '.pgm', '.pbm', '.pnm', '.tga', '.jp2', '.exr', '.dpx'),
)


class VideoError(ValueError):
    """A file that cannot be read or written as asked; one line says why."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Args:
        image: pixels, (H, W, 3) uint8 RGB, upright.
        time: seconds since the start of the file, rising from frame to frame.
        duration: seconds that it stays on screen, > 0.
    """

    image: np.ndarray
    time: Fraction
    duration: Fraction


@dataclass(frozen=True)
class VideoInfo:
    """What a file says of its video.

    Args:
        path: the file or the folder of images.
        kind: 'video', 'image' or 'folder'.
        width: of an upright frame, pixels.
        height: of an upright frame, pixels.
        fps: average frames per second; None where the file has no rate.
        num_frames: how many frames are expected; None where unknown.
        time_base: seconds of one tick of the file's clock.
        start: seconds on that clock which count as zero in `Frame.time`.
        sample_aspect_ratio: pixel width over height of an upright frame.
        codec: name of the decoder.
        pix_fmt: FFmpeg's name of the stored pixel format.
        color_range: H.273 code as stored: 1 limited, 2 full, 0 unknown.
        color_primaries: of the RGB frames, H.273 code, 2 unknown.
        color_transfer: of the RGB frames, H.273 code, 2 unknown.
        color_matrix: H.273 code as stored, 2 unknown.
        rotation: degrees clockwise by which frames were turned upright.
        interlaced: the first frame is interlaced.
        timed: the file has timestamps that can be used.
        has_audio: the file has audio.
        num_subtitles: number of subtitle streams.
        notes: one sentence for each conversion that reading involves.
    """

    path: Path
    kind: str
    width: int
    height: int
    fps: Fraction | None
    num_frames: int | None
    time_base: Fraction
    start: Fraction = Fraction(0)
    sample_aspect_ratio: Fraction = Fraction(1)
    codec: str = ''
    pix_fmt: str = ''
    color_range: int = 0
    color_primaries: int = 2
    color_transfer: int = 2
    color_matrix: int = 2
    rotation: int = 0
    interlaced: bool = False
    timed: bool = True
    has_audio: bool = False
    num_subtitles: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def frame_duration(self) -> Fraction:
        """Nominal seconds of one frame."""
        return 1 / (self.fps or DEFAULT_RATE)


def explain(error: Exception) -> str:
    """Say in a few words what FFmpeg, or the system, complains of."""
    if not isinstance(error, av.FFmpegError):
        return ' '.join(str(error).split()) or type(error).__name__
    reason = error.strerror or type(error).__name__
    return reason.replace(' found when processing input', '')
