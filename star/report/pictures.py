"""What a clip looks like: one frame, a crop, and one row over time."""

import base64
import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from star.report.comparison import Comparison
from star.report.frames import (
    GROUND_TRUTH,
    Crop,
    Size,
    Source,
    find_sources,
    fit,
    liveliest,
    read_frames,
    reduced,
)
from star.report.runs import Clip, Key
from star.video.io import VideoError


@dataclass(frozen=True)
class PictureOptions:
    """How pictures are made.

    Args:
        crop: same for all clips; None for the liveliest square of each.
        crop_side: pixels of that square.
        longest: side of a whole frame on the page, at most; larger frames
            are shown reduced.
        quality: of the JPEG files, 1 to 95, whole frames; crops take 95.
        most_frames: of the row over time.
    """

    crop: Crop | None = None
    crop_side: int = 96
    longest: int = 1280
    quality: int = 85
    most_frames: int = 200

    def __post_init__(self) -> None:
        for name in ('crop_side', 'longest', 'quality', 'most_frames'):
            if getattr(self, name) < 1:
                raise ValueError(
                    f'`{name}` must be >= 1, got {getattr(self, name)}'
                )


@dataclass(frozen=True)
class Picture:
    """A picture of one version.

    Args:
        name: of the version.
        url: data URL, JPEG.
        width: pixels of the file.
        height: likewise.
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
        frame: index of the frame shown.
        size: of the frames, height and width.
        crop: that is shown enlarged.
        count: frames of the row over time.
        row: that is shown over time.
        columns: first of those that are shown over time, and how many.
        whole: whole frames, by version.
        crops: by version.
        profiles: rows over time, by version.
        problems: what is missing or is not shown as it is, a line each.
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


def make_pictures(
    comparison: Comparison, key: Key, options: PictureOptions
) -> ClipPictures | None:
    """Make the pictures of a clip from the files that are still there.

    Returns:
        None where no method's restored clip is there.

    Raises:
        ValueError: the crop lies outside.
        VideoError: the file that the crop is chosen from cannot be read.
    """
    sources, gone = find_sources(comparison, key)
    shown = [s for s in sources if s.name in comparison.runs]
    if not shown:
        return None
    clip = comparison.runs[shown[0].name].clips[key]
    truth = [s for s in sources if s.name == GROUND_TRUTH]
    made = _plan(key, [*truth, *shown][0], clip, options)
    made.problems += [f'{s.name}: {s.path} is not there' for s in gone]
    made.problems += _absences(comparison, shown, made)
    for source in sources:
        try:
            _add(made, source, options)
        except (VideoError, OSError) as error:
            made.problems.append(f'{source.name}: {error}')
    return made


def _absences(
    comparison: Comparison, shown: list[Source], made: ClipPictures
) -> list[str]:
    """Name the methods that are not shown, or not at their own size."""
    names = [source.name for source in shown]
    absent = [name for name in comparison.runs if name not in names]
    told = []
    if absent:
        told.append(
            f'No pictures of {", ".join(absent)}: restored clips are not '
            'there (--save png of tools/test.py keeps them)'
        )
    for name in names:
        height, width = comparison.runs[name].clips[made.key].size
        if (height, width) != made.size:
            told.append(f'{name}: resized from {width}x{height}')
    return told


def _plan(
    key: Key, base: Source, clip: Clip, options: PictureOptions
) -> ClipPictures:
    """Decide what is shown, by the ground truth if there is one."""
    size = clip.size
    # input and ground truth may go on after the last restored frame
    count = min(clip.num_frames, options.most_frames)
    frame = count // 2
    if options.crop is None:
        image = list(read_frames(base.path, size, frame + 1))[-1]
        crop = liveliest(image, options.crop_side)
    else:
        crop = fit(options.crop, size)
    width = min(size[1], 4 * options.crop_side)
    start = crop.left + crop.width // 2 - width // 2
    start = max(0, min(start, size[1] - width))
    row = crop.top + crop.height // 2
    columns = start, width
    return ClipPictures(key, frame, size, crop, count, row, columns)


def _add(made: ClipPictures, source: Source, options: PictureOptions) -> None:
    """Read a version once and make its three pictures."""
    start, width = made.columns
    box = (start, made.row, start + width, made.row + 1)
    rows, whole = [], None
    frames = read_frames(source.path, made.size, made.count)
    for i, image in enumerate(frames):
        rows.append(np.asarray(image.crop(box)))
        if i <= made.frame:
            whole = image
    assert whole is not None  # a video has a frame
    crop = made.crop
    corner = (crop.left + crop.width, crop.top + crop.height)
    small = whole.crop((crop.left, crop.top, *corner))
    height, width = reduced(made.size, options.longest)
    if whole.size != (width, height):
        whole = whole.resize((width, height), Image.Resampling.LANCZOS)
    name = source.name
    made.whole.append(_picture(name, whole, options.quality))
    made.crops.append(_picture(name, small, 95))
    made.profiles.append(_picture(name, _profile(rows), 95))


def _profile(rows: list[np.ndarray]) -> Image.Image:
    """Put rows below one another, each as high as fills about 96 pixels."""
    high = max(1, 96 // len(rows))
    return Image.fromarray(np.repeat(np.concatenate(rows), high, axis=0))


def _picture(name: str, image: Image.Image, quality: int) -> Picture:
    """Encode; without subsampling, since colours are compared too."""
    file = io.BytesIO()
    image.save(file, 'JPEG', quality=quality, subsampling=0, optimize=True)
    code = base64.b64encode(file.getvalue()).decode('ascii')
    return Picture(name, f'data:image/jpeg;base64,{code}', *image.size)
