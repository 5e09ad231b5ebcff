"""`VideoInfo`, `Frame` and `VideoError`, which reading and writing share."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from star.video.colour import hdr
from star.video.colour.light import Light

DEFAULT_RATE = Fraction(25)  # frames per second if the source has no rate


class VideoError(ValueError):
    """Raised for a file that cannot be read or written; a one-line message."""


@dataclass(frozen=True)
class Frame:
    """One frame of a video.

    Args:
        image: pixels, (H, W, 3) uint8 or uint16 RGB, upright.
        time: seconds since the start of the video, rising.
        duration: seconds on screen, > 0.
        alpha: opacity, (H, W) of the dtype of `image`; None for opaque.
        gray: the stored frame has no colour.
    """

    image: np.ndarray
    time: Fraction
    duration: Fraction
    alpha: np.ndarray | None = None
    gray: bool = False


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video, an image or a folder of images.

    Args:
        path: the file or the folder of images.
        kind: 'video', 'image' or 'folder'.
        width: of an upright frame, pixels.
        height: of an upright frame, pixels.
        fps: average frames per second; None if the file has no rate.
        num_frames: expected number of frames; None if unknown.
        time_base: seconds per tick of the file's clock.
        start: seconds on that clock at which `Frame.time` is zero.
        sample_aspect_ratio: pixel width over height of an upright frame.
        codec: name of the decoder.
        pix_fmt: FFmpeg's name of the stored pixel format.
        color_range: H.273 code as stored: 1 limited, 2 full, 0 unknown.
        color_primaries: H.273 code as stored, 2 unknown.
        color_transfer: H.273 code as stored, 2 unknown.
        color_matrix: H.273 code as stored, 2 unknown.
        depth: bits of the deepest component.
        has_alpha: whether frames may be transparent.
        light: facts about the master of an HDR file.
        rotation: degrees clockwise by which frames are turned upright.
        interlaced: whether the first frame is interlaced.
        timed: whether the file has usable timestamps.
        has_audio: whether the file has audio.
        num_subtitles: number of subtitle streams.
        notes: one sentence for each conversion that reading makes.
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
    depth: int = 8
    has_alpha: bool = False
    light: Light = field(default_factory=Light)
    rotation: int = 0
    interlaced: bool = False
    timed: bool = True
    has_audio: bool = False
    num_subtitles: int = 0
    notes: tuple[str, ...] = field(default=())

    @property
    def hdr(self) -> bool:
        """Return whether the stored transfer is PQ or HLG."""
        return self.color_transfer in hdr.NAMES

    def as_8_bit(self) -> 'VideoInfo':
        """Describe the video as `VideoReader` gives it unless told otherwise.

        Frames have 8 bits and are opaque, and HDR is tone mapped to BT.709.
        """
        tags = (self.color_primaries, self.color_transfer)
        primaries, transfer = (1, 1) if self.hdr else tags
        return replace(
            self,
            depth=8,
            has_alpha=False,
            light=Light(),
            color_primaries=primaries,
            color_transfer=transfer,
        )

    @property
    def frame_duration(self) -> Fraction:
        """Return the nominal duration of one frame in seconds."""
        return 1 / (self.fps or DEFAULT_RATE)

    @classmethod
    def of_clip(
        cls, folder: Path, width: int, height: int, fps: float | None
    ) -> 'VideoInfo':
        """Describe a clip in memory, as the source of a `VideoWriter`.

        Args:
            folder: where the clip is to be written.
            width: of a frame, pixels.
            height: of a frame, pixels.
            fps: frames per second; None for `DEFAULT_RATE`.
        """
        rate = Fraction(fps or DEFAULT_RATE).limit_denominator(1001)
        return cls(folder, 'folder', width, height, rate, None, 1 / rate)


def explain(error: Exception) -> str:
    """Describe an error of FFmpeg or of the system in a few words."""
    # without a file's name, which may be temporary
    known = isinstance(error, (av.FFmpegError, OSError)) and error.strerror
    reason = known or ' '.join(str(error).split()) or type(error).__name__
    return reason.replace(' found when processing input', '')
