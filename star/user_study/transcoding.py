"""Conversion of each version to a file that every browser plays."""

import hashlib
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from star.user_study.sources import StudyClip
from star.video.io import VideoInfo, VideoReader, VideoWriter

CRF = 12  # of x264; docs/user_study.md says what it changes


def version_key(path: Path, fps: Fraction, crf: float = CRF) -> str:
    """Return a hash of a version's files without reading them.

    Args:
        path: video or folder of frames; only its name counts.
        fps: frame rate.
        crf: constant rate factor.

    Returns:
        32 hexadecimal digits that change with a file's name, size or time.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    lines = [f'{fps} {crf:g}']
    for file in files:
        state = file.stat()
        lines.append(f'{file.name} {state.st_size} {state.st_mtime_ns}')
    return hashlib.sha256('\n'.join(lines).encode()).hexdigest()[:32]


def transcode_clip(
    clip: StudyClip,
    cache: Path,
    crf: float = CRF,
    say: Callable[[str], None] = print,
) -> dict[str, str]:
    """Convert all versions of a clip whose files do not exist yet.

    H.264, yuv420p, no sound. Frame i is shown at i / fps seconds, whatever
    its time in the source, so that all versions show it at the same time.

    Args:
        clip: from `inspect`.
        cache: folder of the files.
        crf: constant rate factor.
        say: prints a line for each conversion.

    Returns:
        Name of the file without `.mp4`, by method.

    Raises:
        VideoError: a version cannot be read, or a file cannot be written.
    """
    keys = {}
    for method, path in clip.files.items():
        key = version_key(path, clip.fps, crf)
        # two methods with equal files must not share an address
        key = hashlib.sha256(f'{method} {clip.key} {key}'.encode()).hexdigest()
        keys[method] = key[:32]
        target = cache / f'{key[:32]}.mp4'
        if not target.exists():
            say(f'preparing {"/".join(clip.key)} of {method}')
            _transcode(path, target, clip, crf)
    return keys


def _transcode(path: Path, target: Path, clip: StudyClip, crf: float) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    width, height = (side + side % 2 for side in (clip.width, clip.height))
    rate = clip.fps
    source = VideoInfo(
        path, 'folder', width, height, rate, clip.num_frames, 1 / rate
    )
    with (
        VideoReader(path) as reader,
        VideoWriter(target, width, height, source, crf=crf) as writer,
    ):
        for i, frame in enumerate(reader):
            image = _even(frame.image)
            writer.write(image, i / rate, 1 / rate)
    os.utime(target, (0, 0))  # the time must not give the order away


def _even(image: np.ndarray) -> np.ndarray:
    """Repeat the last row and column of odd sizes, as yuv420p needs."""
    height, width = image.shape[:2]
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    return np.pad(image, pad, mode='edge')
