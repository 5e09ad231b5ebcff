"""One clip of a test set: reading, cropping, degrading, writing."""

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
    """Options for the preparation of a set's clips.

    Args:
        num_frames: largest number of frames, from the first one; None for
            all.
        size: height and width of a centre crop of the ground truth, or of
            the input if there is no ground truth; None for no crop.
        preset: degradation that makes missing inputs.
        seed: of the degradation.
        scale: factor between ground truth and input.
        ffv1: write lossless videos instead of folders of PNGs.
        link: link files that need no change instead of copying them.

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
        """Return the config of the degradation, as a manifest keeps it."""
        return {
            'type': 'RealESRGANVideoDegradation',
            'version': VERSION,
            'preset': self.preset,
            'scale': self.scale,
            'seed': self.seed,
        }


@dataclass(frozen=True)
class SourceClip:
    """A clip read from its source.

    Args:
        clip: its frames, (T, H, W, 3) uint8 RGB.
        fps: frames per second; None if unknown.
        file: video or folder with just these frames; None if frames or
            borders were cut off.
    """

    clip: np.ndarray
    fps: float | None
    file: Path | None


def read_source(
    path: Path, options: PrepareOptions, ratio: int = 1
) -> SourceClip:
    """Read a clip and crop it.

    Args:
        path: video, image or folder of images.
        options: number of frames and size of the crop.
        ratio: factor by which the clip is smaller than `options.size`.

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
    return SourceClip(clip, fps, path if whole and uncut else None)


def _centre(
    path: Path, size: tuple[int, int], options: PrepareOptions, ratio: int
) -> tuple[slice, slice]:
    """Return the centre of a frame, aligned to the pixels of the input."""
    if options.size is None:
        return slice(None), slice(None)
    box = []
    height, width = (side // ratio for side in options.size)
    grid = options.scale // ratio
    for side, crop in zip(size, (height, width), strict=True):
        if crop > side:
            raise ValueError(
                f'{path}: frames of {size[1]}x{size[0]} are smaller than '
                f'the crop {width}x{height}'
            )
        start = (side - crop) // 2 // grid * grid
        box.append(slice(start, start + crop))
    return box[0], box[1]


def degrade_clip(
    name: str, gt: np.ndarray, options: PrepareOptions
) -> tuple[np.ndarray, dict]:
    """Make the low-quality input of a clip.

    Args:
        name: of the clip; with the seed it decides the random numbers, so
            that they do not depend on the other clips of the set.
        gt: ground truth, (T, H, W, 3) uint8 RGB.
        options: preset, scale and seed.

    Returns:
        The input, (T, H / scale, W / scale, 3) uint8 RGB, and the record
        that `replay` takes.

    Raises:
        ValueError: the preset is unknown, or the scale does not divide the
            frames.
    """
    degradation = RealESRGANVideoDegradation(options.preset, options.scale)
    results: dict = {'gt': gt, 'rng': clip_rng(options.seed, name)}
    results = degradation.transform(results)
    return results['lq'], results['record']


def clip_rng(seed: int, name: str) -> np.random.Generator:
    """Make the random generator of a clip from a seed and its name."""
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng((seed, int.from_bytes(digest, 'big')))


def check_pair(gt: np.ndarray | None, lq: np.ndarray, scale: int) -> None:
    """Check that ground truth and input, (T, H, W, 3), belong together.

    Raises:
        ValueError: the numbers of frames differ, or the sizes do not differ
            by `scale`.
    """
    if gt is None:
        return
    frames, height, width = lq.shape[:3]
    if gt.shape[:3] != (frames, height * scale, width * scale):
        raise ValueError(
            f'{len(gt)} frames of {gt.shape[2]}x{gt.shape[1]} in gt/ and '
            f'{frames} of {width}x{height} in lq/ do not match: gt/ must have '
            f'as many frames, larger by `scale` {scale}'
        )


def write_lossless(path: Path, clip: np.ndarray, ffv1: bool) -> None:
    """Write a clip without loss.

    Args:
        path: folder of PNGs, or a video (.mkv).
        clip: frames, (T, H, W, 3) uint8 RGB.
        ffv1: write a video.

    Raises:
        VideoError: it cannot be written.
    """
    height, width = clip.shape[1:3]
    target = str(path) if ffv1 else f'{path}/'  # the name may hold a dot
    codec, pix_fmt = ('ffv1', 'bgr0') if ffv1 else ('libx264', None)
    step = Fraction(1, 25)
    with VideoWriter(
        target, width, height, codec=codec, pix_fmt=pix_fmt
    ) as writer:
        for i, image in enumerate(clip):
            writer.write(image, i * step, step)
