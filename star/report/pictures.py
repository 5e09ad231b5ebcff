"""Pictures of a clip: one frame, a crop, and a row of pixels over time."""

import base64
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from star.report.comparison import Comparison
from star.report.frames import (
    GROUND_TRUTH,
    ClipVersion,
    Crop,
    Size,
    find_versions,
    fit,
    most_detailed,
    read_frames,
    reduced,
)
from star.report.playing import PlayedClip, make_played_clip
from star.report.results import ClipScores, Key
from star.video.io import VideoError


@dataclass(frozen=True)
class PictureOptions:
    """Options of the pictures.

    Args:
        crop: of all clips; None for the most detailed square of each.
        crop_side: pixels of that square.
        longest: largest side of a whole frame on the page, in pixels; larger
            frames are reduced.
        quality: of whole frames as JPEG, 1 to 95; crops have 95.
        max_frames: of the row over time.
        play_frames: of the clip that plays; 0 for none.
        play_longest: largest side of the clip that plays, in pixels.
    """

    crop: Crop | None = None
    crop_side: int = 96
    longest: int = 1280
    quality: int = 85
    max_frames: int = 200
    play_frames: int = 50
    play_longest: int = 640

    def __post_init__(self) -> None:
        least = dict.fromkeys(('crop_side', 'longest', 'quality'), 1)
        least |= {'max_frames': 1, 'play_frames': 0, 'play_longest': 2}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(
                    f'`{name}` must be >= {low}, got {getattr(self, name)}'
                )


@dataclass(frozen=True)
class Picture:
    """A picture of one version of a clip.

    Args:
        name: of the version.
        url: data URL of a JPEG file.
        width: of the file, in pixels.
        height: of the file, in pixels.
    """

    name: str
    url: str
    width: int
    height: int


@dataclass
class ClipPictures:
    """All pictures of a clip.

    Args:
        key: of the clip.
        frame: index of the frame in the pictures.
        size: of the frames, height and width.
        crop: that is enlarged.
        count: frames of the row over time.
        row: index of the row over time.
        columns: first column of the row over time, and their number.
        whole: whole frame of each version.
        crops: crop of each version.
        profiles: row over time of each version.
        problems: missing and resized versions, a line each.
        played: the clip that plays; None for none.
    """

    key: Key
    frame: int
    size: Size
    crop: Crop
    count: int
    row: int
    columns: tuple[int, int]
    whole: list[Picture] = field(default_factory=list)
    crops: list[Picture] = field(default_factory=list)
    profiles: list[Picture] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    played: PlayedClip | None = None


def make_pictures(
    comparison: Comparison, key: Key, options: PictureOptions
) -> ClipPictures | None:
    """Make the pictures of a clip from the files that exist.

    Returns:
        None if no method's restored clip exists.

    Raises:
        ValueError: the crop lies outside the frame.
        VideoError: the file that the crop is chosen from cannot be read.
    """
    versions, missing = find_versions(comparison, key)
    restored = [v for v in versions if v.name in comparison.results]
    if not restored:
        return None
    clip = comparison.results[restored[0].name].clips[key]
    truth = [v for v in versions if v.name == GROUND_TRUTH]
    pictures = _plan(key, [*truth, *restored][0], clip, options)
    pictures.problems += [f'{v.name}: {v.path} is missing' for v in missing]
    pictures.problems += _find_problems(comparison, restored, pictures)
    for version in versions:
        try:
            _add(pictures, version, options)
        except (VideoError, OSError) as error:
            pictures.problems.append(f'{version.name}: {error}')
    if pictures.whole and options.play_frames and clip.num_frames > 1:
        names = [picture.name for picture in pictures.whole]
        pictures.played = make_played_clip(
            [version for version in versions if version.name in names],
            pictures.size,
            min(clip.num_frames, options.play_frames),
            options.play_longest,
            clip.fps,
        )
    return pictures


def _find_problems(
    comparison: Comparison,
    restored: list[ClipVersion],
    pictures: ClipPictures,
) -> list[str]:
    """Name the methods without a restored clip, or with a resized one."""
    names = [version.name for version in restored]
    absent = [
        name
        for name, results in comparison.results.items()
        if name not in names and pictures.key in results.clips
    ]
    problems = []
    if absent:
        problems.append(
            f'No pictures of {", ".join(absent)}: the restored clips were not '
            'kept (`star test --save png` keeps them)'
        )
    for name in names:
        height, width = comparison.results[name].clips[pictures.key].size
        if (height, width) != pictures.size:
            problems.append(f'{name}: resized from {width}x{height}')
    return problems


def _plan(
    key: Key, base: ClipVersion, clip: ClipScores, options: PictureOptions
) -> ClipPictures:
    """Choose the frame, the crop and the row, by the version `base`."""
    size = clip.size
    # input and ground truth may be longer than the restored clip
    count = min(clip.num_frames, options.max_frames)
    frame = count // 2
    if options.crop is None:
        image = list(read_frames(base.path, size, frame + 1))[-1]
        crop = most_detailed(image, options.crop_side)
    else:
        crop = fit(options.crop, size)
    width = min(size[1], 4 * options.crop_side)
    start = crop.left + crop.width // 2 - width // 2
    start = max(0, min(start, size[1] - width))
    row = crop.top + crop.height // 2
    columns = start, width
    return ClipPictures(key, frame, size, crop, count, row, columns)


def _add(
    pictures: ClipPictures, version: ClipVersion, options: PictureOptions
) -> None:
    """Read a version once and make its three pictures."""
    start, width = pictures.columns
    box = (start, pictures.row, start + width, pictures.row + 1)
    rows, whole = [], None
    frames = read_frames(version.path, pictures.size, pictures.count)
    for i, image in enumerate(frames):
        rows.append(np.asarray(image.crop(box)))
        if i <= pictures.frame:
            whole = image
    assert whole is not None, 'a video has a frame'
    crop = pictures.crop
    corner = (crop.left + crop.width, crop.top + crop.height)
    small = whole.crop((crop.left, crop.top, *corner))
    height, width = reduced(pictures.size, options.longest)
    if whole.size != (width, height):
        whole = whole.resize((width, height), Image.Resampling.LANCZOS)
    name = version.name
    pictures.whole.append(to_picture(name, whole, options.quality))
    pictures.crops.append(to_picture(name, small, 95))
    pictures.profiles.append(to_picture(name, _profile(rows), 95))


def _profile(rows: list[np.ndarray]) -> Image.Image:
    """Stack rows, each repeated so that all are about 96 pixels high."""
    high = max(1, 96 // len(rows))
    return Image.fromarray(np.repeat(np.concatenate(rows), high, axis=0))


def to_picture(name: str, image: Image.Image, quality: int) -> Picture:
    """Encode as JPEG without subsampling: readers compare colours too."""
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=quality, subsampling=0, optimize=True)
    code = base64.b64encode(file.getvalue()).decode('ascii')
    return Picture(name, f'data:image/jpeg;base64,{code}', *image.size)
