"""Planning of a batch: the clips of a folder and the paths of results."""

from dataclasses import dataclass
from pathlib import Path

from star.utils.files import list_visible
from star.video.info import VideoError
from star.video.probing import list_images

_NAMES = (
    'mp4 m4v mov mkv webm avi wmv asf flv f4v ts m2ts mts mpg mpeg m2v vob '
    'ogv 3gp 3g2 mxf ivf y4m 264 h264 avc 265 h265 hevc obu gif dv rm rmvb '
    'divx'
)
VIDEO_SUFFIXES = frozenset(f'.{name}' for name in _NAMES.split())
_KEPT = ('.mp4', '.mov', '.mkv')  # containers that the writer can make


@dataclass(frozen=True)
class Job:
    """One clip to restore.

    Args:
        src: video, image, or folder of images.
        dst: where the result goes.
    """

    src: Path
    dst: Path


def is_batch(src: Path) -> bool:
    """Return whether a path is a folder of clips, not a single clip.

    A folder with videos is a batch, and its own images are left alone; so is
    a folder without images of its own that holds folders of images.
    """
    if not src.is_dir():
        return False
    videos = [path for path in _clips(src) if path.is_file()]
    return bool(videos or (_clips(src) and not list_images(src)))


def plan_batch(
    src: Path, dst: Path, images: bool = False
) -> tuple[list[Job], list[Path]]:
    """List the clips of a folder of videos, in order of their names.

    A result keeps its name; a video whose kind of file the writer does not
    make becomes `.mkv`, a folder of images `.mp4`. Where two clips would
    give the same name, both add to their full names.

    Args:
        src: folder for which `is_batch` holds.
        dst: folder of the results.
        images: results are folders of images.

    Returns:
        The jobs, and the visible entries that are no clips.

    Raises:
        VideoError: `dst` is a file, or `src` itself.
    """
    if dst.exists() and not dst.is_dir():
        raise VideoError(f'{dst}: must be a folder, as {src} is one')
    if dst.resolve() == src.resolve():
        raise VideoError(f'{dst}: is the input; choose another folder')
    clips = [path for path in _clips(src) if path != dst]
    names = [_result_name(clip, images) for clip in clips]
    jobs = []
    for clip, name in zip(clips, names, strict=True):
        if names.count(name) > 1:
            name = clip.name + Path(name).suffix
        jobs.append(Job(clip, dst / name))
    skipped = [p for p in list_visible(src) if p not in clips and p != dst]
    return jobs, skipped


def _clips(folder: Path) -> list[Path]:
    return [
        path
        for path in list_visible(folder)
        if (path.is_dir() and list_images(path))
        or (path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES)
    ]


def _result_name(clip: Path, images: bool) -> str:
    if images:
        return clip.stem if clip.is_file() else clip.name
    if clip.is_dir():
        return clip.name + '.mp4'
    kept = clip.suffix.lower() in _KEPT
    return clip.name if kept else clip.stem + '.mkv'
