"""One clip of a test set: read from its source, cut, degraded, written."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from star.datasets.transforms.degradation import (
    VERSION,
    RealESRGANVideoDegradation,
)
from star.video.io import VideoReader, VideoWriter


@dataclass(frozen=True)
class PrepareOptions:
    """How the clips of a set are prepared.

    Args:
        num_frames: at most, the first ones of each clip; None for all.
        size: height and width of a centre crop of the ground truth, or of
            the input where there is no ground truth; None for no crop.
        preset: degradation that makes the inputs where there are none.
        seed: of its draws.
        scale: factor between ground truth and input.
        ffv1: write lossless videos instead of folders of PNGs.
        link: make symbolic links to files that are taken as they are.

    Raises:
        ValueError: a number is out of range, or `scale` does not divide
            `size`.
    """

    num_frames: int | None = None
    size: tuple[int, int] | None = None
    preset: str = 'star'
    seed: int = 0
    scale: int = 4
    ffv1: bool = False
    link: bool = False

    def __post_init__(self) -> None:
        if self.num_frames is not None and self.num_frames < 1:
            raise ValueError(f'`frames` must be >= 1, got {self.num_frames}')
        if self.seed < 0 or self.scale < 1:
            raise ValueError(
                '`seed` must be >= 0 and `scale` >= 1, got '
                f'{self.seed} and {self.scale}'
            )
        if self.size and any(s < 1 or s % self.scale for s in self.size):
            raise ValueError(
                f'`scale` {self.scale} must divide the sides of `size`, got '
                f'{self.size[1]}x{self.size[0]}'
            )

    def degradation(self) -> dict:
        """Name all that decides about inputs that are made."""
        return {
            'type': 'RealESRGANVideoDegradation',
            'version': VERSION,
            'preset': self.preset,
            'scale': self.scale,
            'seed': self.seed,
        }


@dataclass(frozen=True)
class Source:
    """What was read of a source.

    Args:
        clip: its frames, (T, H, W, 3) uint8 RGB.
        fps: frames per second; None where it does not tell.
        file: video or folder with these frames and no others; None where
            something was cut off.
    """

    clip: np.ndarray
    fps: float | None
    file: Path | None


def read_source(path: Path, options: PrepareOptions, ratio: int = 1) -> Source:
    """Read a clip as far as it is wanted.

    Args:
        path: video, image or folder of images.
        options: which frames and which part of them.
        ratio: by which the clip is smaller than `options.size` says.

    Raises:
        ValueError: it cannot be read, or its frames are too small.
    """
    frames, count = [], options.num_frames
    with VideoReader(path, count and count + 1) as reader:
        info = reader.info
        box = _centre(path, (info.height, info.width), options, ratio)
        for frame in reader:
            frames.append(np.ascontiguousarray(frame.image[box]))
    whole = options.size is None or frames[0].shape[:2] == (
        info.height,
        info.width,
    )
    uncut = count is None or len(frames) <= count
    fps = float(info.fps) if info.fps and info.kind == 'video' else None
    clip = np.stack(frames[:count])
    return Source(clip, fps, path if whole and uncut else None)


def _centre(
    path: Path, size: tuple[int, int], options: PrepareOptions, ratio: int
) -> tuple[slice, slice]:
    """Find the centre of a frame, on the grid of the smaller clip's pixels."""
    if options.size is None:
        return slice(None), slice(None)
    box = []
    height, width = (side // ratio for side in options.size)
    grid = options.scale // ratio
    for side, part in zip(size, (height, width), strict=True):
        if part > side:
            raise ValueError(
                f'{path}: frames of {size[1]}x{size[0]} are smaller than '
                f'the crop {width}x{height}'
            )
        start = (side - part) // 2 // grid * grid
        box.append(slice(start, start + part))
    return box[0], box[1]


def degrade_clip(
    name: str, gt: np.ndarray, options: PrepareOptions
) -> tuple[np.ndarray, dict]:
    """Make a clip's input.

    Args:
        name: of the clip: draws depend on it and on the seed, not on what
            else is in the set.
        gt: ground truth, (T, H, W, 3) uint8 RGB.
        options: preset, scale and seed.

    Returns:
        The input, (T, H / scale, W / scale, 3) uint8 RGB, and the record of
        all draws, which `replay` takes.

    Raises:
        ValueError: unknown preset, or the scale does not divide the frames.
    """
    degradation = RealESRGANVideoDegradation(options.preset, options.scale)
    results: dict = {'gt': gt, 'rng': clip_rng(options.seed, name)}
    results = degradation.transform(results)
    return results['lq'], results['record']


def clip_rng(seed: int, name: str) -> np.random.Generator:
    """Make the generator of a clip's draws, from a seed and its name."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng((seed, int.from_bytes(digest, 'big')))


def check_pair(gt: np.ndarray | None, lq: np.ndarray, scale: int) -> None:
    """Check that two clips (T, H, W, 3) fit.

    Raises:
        ValueError: they differ in length, or not by `scale` in size.
    """
    if gt is None:
        return
    frames, height, width = lq.shape[:3]
    if gt.shape[:3] != (frames, height * scale, width * scale):
        raise ValueError(
            f'{len(gt)} frames of {gt.shape[2]}x{gt.shape[1]} in gt/ and '
            f'{frames} of {width}x{height} in lq/ do not fit: there must be '
            f'as many, larger by `scale` {scale}'
        )


def write_lossless(path: Path, clip: np.ndarray, ffv1: bool) -> None:
    """Write a clip so that reading gives the same pixels.

    Args:
        path: folder of PNGs, or video (.mkv).
        clip: (T, H, W, 3) uint8 RGB.
        ffv1: write a video.

    Raises:
        VideoError: it cannot be written.
    """
    height, width = clip.shape[1:3]
    place = str(path) if ffv1 else f'{path}/'  # not by a dot in the name
    codec, pix_fmt = ('ffv1', 'bgr0') if ffv1 else ('libx264', None)
    step = Fraction(1, 25)
    with VideoWriter(
        place, width, height, codec=codec, pix_fmt=pix_fmt
    ) as writer:
        for i, image in enumerate(clip):
            writer.write(image, i * step, step)
