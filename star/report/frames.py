"""Choice of the clips, frames and crops that the page shows."""

import math
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from star.report.comparison import Comparison, unique
from star.report.results import Key
from star.video.io import VideoReader

GROUND_TRUTH = 'ground truth'
LOW_QUALITY = 'low quality, enlarged'

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Crop:
    """A rectangle of a frame, in pixels of the ground truth.

    Args:
        left: columns before it.
        top: rows above it.
        width: >= 1.
        height: >= 1.
    """

    left: int
    top: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.left, self.top) < 0 or min(self.width, self.height) < 1:
            raise ValueError(
                '`crop` must be LEFT TOP >= 0 and WIDTH HEIGHT >= 1, got '
                f'{self.left} {self.top} {self.width} {self.height}'
            )


@dataclass(frozen=True)
class ClipVersion:
    """A clip as one method restored it, its input or its ground truth.

    Args:
        name: of the method, or one of the two names above.
        path: video, or folder of frames.
    """

    name: str
    path: Path


def choose_clips(
    comparison: Comparison, per_set: int, wanted: list[str]
) -> list[Key]:
    """Choose the clips to show.

    Args:
        comparison: of the methods.
        per_set: number of clips of each set, evenly spread over its list.
        wanted: SET/NAME of clips to show instead.

    Raises:
        ValueError: no method has a clip of `wanted`.
    """
    methods = comparison.results.values()
    keys = unique(key for each in methods for key in each.clips)
    if wanted:
        known = {'/'.join(key): key for key in keys}
        unknown = [name for name in wanted if name not in known]
        if unknown:
            raise ValueError(
                f'no method has the clip {unknown[0]!r} (SET/NAME)'
            )
        return [known[name] for name in wanted]
    chosen = []
    for table in comparison.sets:
        names = [key for key in keys if key[0] == table.name]
        count = min(per_set, len(names))
        chosen += [names[i * len(names) // count] for i in range(count)]
    return chosen


def choose_pair(
    comparison: Comparison, key: Key, names: list[str]
) -> tuple[str, str]:
    """Choose the two versions of a clip that the page compares first.

    Args:
        comparison: of the methods.
        key: of the clip.
        names: of the versions that can be shown, at least one.

    Returns:
        The reference, and the best other method in the first metric of the
        set; without that, versions that exist.
    """
    set_ = next(each for each in comparison.sets if each.name == key[0])
    metric = next(iter(set_.metrics), '')

    def cost(name: str) -> tuple[bool, float]:
        """Order by the mean; random weights and missing scores come last."""
        cell = set_.cells.get((name, metric))
        if cell is None or comparison.results[name].random:
            return True, 0.0
        sign = -1 if comparison.higher_is_better[metric] else 1
        return False, sign * cell.mean.value

    methods = [name for name in names if name in comparison.results]
    first = [comparison.reference, LOW_QUALITY, GROUND_TRUTH, *methods]
    left = next(name for name in first if name in names)
    others = sorted((m for m in methods if m != left), key=cost)
    second = [n for n in (*others, GROUND_TRUTH, LOW_QUALITY) if n in names]
    return left, next((name for name in second if name != left), left)


def find_versions(
    comparison: Comparison, key: Key
) -> tuple[list[ClipVersion], list[ClipVersion]]:
    """Find the files of all versions of a clip.

    Returns:
        The versions whose files exist, and those of input and ground truth
        whose files are missing.
    """
    clips = {
        name: results.clips[key]
        for name, results in comparison.results.items()
        if key in results.clips
    }
    found, missing = [], []
    for name, kind in ((LOW_QUALITY, 'lq'), (GROUND_TRUTH, 'gt')):
        paths = [c.files[kind] for c in clips.values() if kind in c.files]
        existing = [path for path in paths if path.exists()]
        found += [ClipVersion(name, path) for path in existing[:1]]
        if not existing:
            missing += [ClipVersion(name, path) for path in paths[:1]]
    for name, clip in clips.items():
        path = clip.files.get('pred')
        if path is not None and path.exists():
            found.append(ClipVersion(name, path))
    return found, missing


def read_frames(
    path: Path, size: Size, num_frames: int
) -> Generator[Image.Image, None, None]:
    """Read a clip's first frames.

    Args:
        path: video, or folder of frames.
        size: frames of another size are resized to this one (bicubic).
        num_frames: at most.

    Raises:
        VideoError: the clip cannot be read.
    """
    height, width = size
    with VideoReader(path, num_frames=num_frames) as reader:
        for frame in reader:
            image = Image.fromarray(frame.image)
            if image.size != (width, height):
                image = image.resize((width, height), Image.Resampling.BICUBIC)
            yield image


def most_detailed(image: Image.Image, side: int) -> Crop:
    """Find the square with the highest variance of luma.

    Args:
        image: a frame.
        side: of the square, at most that of the frame. The search goes in
            steps of an eighth of it.
    """
    luma = np.asarray(image.convert('L'), dtype=np.float64)
    height, width = luma.shape
    side = min(side, height, width)
    step = max(1, side // 8)
    sums, squares = _box_sums(luma, side), _box_sums(luma**2, side)
    variance = (squares - sums**2 / side**2)[::step, ::step]
    row, column = np.unravel_index(int(variance.argmax()), variance.shape)
    return Crop(int(column) * step, int(row) * step, side, side)


def fit(crop: Crop, size: Size) -> Crop:
    """Return the part of a crop that lies in a frame.

    Raises:
        ValueError: all of the crop lies outside.
    """
    height, width = size
    if crop.left >= width or crop.top >= height:
        raise ValueError(
            f'`crop` must lie in the frame of {height}x{width}, got left '
            f'{crop.left} and top {crop.top}'
        )
    return Crop(
        crop.left,
        crop.top,
        min(crop.width, width - crop.left),
        min(crop.height, height - crop.top),
    )


def reduced(size: Size, longest: int) -> Size:
    """Return a size in the same proportion, no side over `longest`."""
    factor = min(1.0, longest / max(size))
    height, width = (max(1, math.floor(side * factor)) for side in size)
    return height, width


def _box_sums(values: np.ndarray, side: int) -> np.ndarray:
    """Sum over every square of this side."""
    total = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    rows = total[side:] - total[:-side]
    return rows[:, side:] - rows[:, :-side]
