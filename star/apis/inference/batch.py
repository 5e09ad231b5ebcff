"""Planning: which clips and pictures to restore, and where results go.

A target that ends in `/` or is a folder takes a result of the source's name;
any other is the result. A folder is restored with those below it, and its
tree is kept. Its images are one clip if `is_sequence` holds, or with
`as_clip`; otherwise each is restored by itself.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from star.apis.inference.result_names import (
    RECORD,
    holds_frames,
    result_name,
    unique,
)
from star.utils.files import check_writable, list_visible
from star.video.formats import IMAGE_SUFFIXES, VIDEO_SUFFIXES, check_suffix
from star.video.frame_names import describe_gaps, is_sequence
from star.video.info import VideoError
from star.video.probing import list_images

_MOST_NAMES = 10  # that a note lists
_KINDS = ('file', 'folder')
_EMPTY = 'the folder holds no videos and no images'


@dataclass(frozen=True)
class Job:
    """One clip to restore.

    Args:
        src: video, image, or folder of images.
        dst: where the result goes.
        folder: the result is a folder of images.
    """

    src: Path
    dst: Path
    folder: bool = False

    @property
    def target(self) -> str:
        """Return the result's path as `VideoWriter` takes it."""
        return f'{self.dst}/' if self.folder else str(self.dst)


@dataclass(frozen=True)
class Rules:
    """Choices of a user that decide what the jobs are.

    Args:
        images: results of clips are folders of images.
        as_clip: whether a folder's images are one clip; None decides by
            their names and sizes.
        recursive: include the folders below a folder.
    """

    images: bool = False
    as_clip: bool | None = None
    recursive: bool = True


@dataclass(frozen=True)
class Plan:
    """Jobs of a command.

    Args:
        jobs: in order of their names.
        notes: about the source, one sentence each.
        batch: the source stands for several clips.
    """

    jobs: list[Job]
    notes: list[str] = field(default_factory=list)
    batch: bool = False


def plan_jobs(src: Path, dst: str, rules: Rules | None = None) -> Plan:
    """List what is to be restored, and where each result goes.

    Args:
        src: video, image, or folder.
        dst: target as typed; it matters whether it ends in `/`.
        rules: choices of the user; None for the defaults.

    Raises:
        VideoError: the source does not exist or holds nothing to restore, or
            the target does not say what to write.
        OSError: the target's folder cannot be made or written to.
    """
    rules = rules or Rules()
    if not dst:
        raise VideoError('the result has no name; name a file or a folder')
    if not os.path.exists(src):  # of a name too long, too
        broken = 'a link to nothing' if src.is_symlink() else ''
        raise VideoError(f'{src}: {broken or "no such file or folder"}')
    _check_target(dst)
    if not src.is_dir():
        plan = Plan([_plan_file(src, dst, rules)])
    elif _names_a_file(dst):
        plan = _plan_clip(src, dst, rules)
    else:
        plan = _plan_folder(src, Path(dst), rules)
    for job in plan.jobs:
        if job.dst.exists() and job.dst.is_dir() != job.folder:
            found, wanted = _KINDS[not job.folder], _KINDS[job.folder]
            raise VideoError(
                f'{job.dst}: is a {found}, but the result is a {wanted}; '
                'choose another name'
            )
    for folder in {job.dst.parent for job in plan.jobs}:
        check_writable(folder)
    return plan


def _check_target(text: str) -> None:
    """Refuse a target of the wrong kind: a file for a folder, a dead link."""
    path = Path(text)
    if path.is_symlink() and not path.exists():
        raise VideoError(f'{path}: a link to nothing; remove it')
    if _ends_as_folder(text) and path.exists() and not path.is_dir():
        raise VideoError(f'{path}: is a file, not a folder')
    if path.exists() and not (path.is_dir() or path.is_file()):
        raise VideoError(f'{path}: neither a file nor a folder')


def _ends_as_folder(text: str) -> bool:
    return text.endswith(('/', os.sep)) or Path(text).name in ('', '..')


def _names_a_file(text: str) -> bool:
    """Return whether a target is a file, there or by its suffix."""
    path = Path(text)
    if path.is_dir() or _ends_as_folder(text):
        return False
    return path.exists() or bool(path.suffix)


def _plan_file(src: Path, text: str, rules: Rules) -> Job:
    dst = Path(text)
    picture = src.suffix.lower() in IMAGE_SUFFIXES
    images = rules.images and not picture
    if _ends_as_folder(text) or dst.is_dir():
        earlier = not _ends_as_folder(text) and holds_frames(dst)
        if images and earlier:
            return Job(src, dst, folder=True)
        return Job(src, dst / result_name(src, images), images)
    if not dst.suffix and images:
        return Job(src, dst, folder=True)
    if not dst.suffix:
        name = result_name(src, images=False)
        other = '' if picture else ', or add --codec png for images'
        raise VideoError(
            f'{dst}: file or folder? Name {dst}/ for a folder, '
            f'{dst}{Path(name).suffix} for a file{other}'
        )
    check_suffix(dst)
    return Job(src, dst)


def _plan_clip(src: Path, text: str, rules: Rules) -> Plan:
    """Plan a folder of images that becomes one file."""
    dst = Path(text)
    images = list_images(src)
    if not any(_Scan(dst, rules).walk(src)):
        raise VideoError(f'{src}: {_EMPTY}')
    others = [path for path in _videos(src) if path != dst]
    if not images or rules.as_clip is False or others:
        raise VideoError(
            f'{dst}: must be a folder, as {src} is one; name '
            f'{dst.with_suffix("")}/'
        )
    check_suffix(dst)
    notes = describe_gaps(images)
    return Plan([Job(src, dst)], notes)


def _plan_folder(src: Path, dst: Path, rules: Rules) -> Plan:
    if dst.exists() and dst.resolve() == src.resolve():
        raise VideoError(f'{dst}: is the input; choose another folder')
    scan = _Scan(dst, rules)
    found = list(scan.walk(src))
    if not found:
        raise VideoError(f'{src}: {_EMPTY}')
    notes = [*scan.notes, *_describe_skipped(src, scan.skipped)]
    if found == [src]:
        inside = dst.is_dir() and any(dst.iterdir()) and not holds_frames(dst)
        target = dst / src.resolve().name if inside else dst
        return Plan([Job(src, target, folder=True)], notes)
    jobs, changed = _name_results(src, dst, found, rules)
    _refuse_overlap(jobs)
    return Plan(jobs, [*notes, *changed], batch=True)


class _Scan:
    """Finds what can be restored in a folder and those below it.

    Args:
        dst: folder of results, which is left out.
        rules: choices of the user.

    Attributes:
        notes: what was decided, one sentence each.
        skipped: visible entries that are left alone.
    """

    def __init__(self, dst: Path, rules: Rules) -> None:
        self.notes: list[str] = []
        self.skipped: list[Path] = []
        self._rules = rules
        self._left_out = {dst.resolve()}

    def walk(self, folder: Path) -> Iterator[Path]:
        """Yield clips and pictures by name; a folder stands for its clip."""
        self._left_out.add(folder.resolve())  # a link may lead back
        images = list_images(folder)
        clip, known = self._is_clip(folder, images), set(images)
        if clip:
            yield folder
        for path in list_visible(folder):
            if path.is_dir():
                yield from self._below(path)
            elif path in known:
                yield from () if clip else (path,)
            elif _is_video(path):
                yield path
            elif not path.name.endswith(RECORD):
                self.skipped.append(path)

    def _below(self, folder: Path) -> Iterator[Path]:
        if folder.resolve() in self._left_out:
            return
        if not self._rules.recursive:
            self.skipped.append(folder)
            return
        try:
            list_visible(folder)
        except OSError as error:
            self.notes.append(f'{folder}: left alone ({error.strerror})')
            return
        yield from self.walk(folder)

    def _is_clip(self, folder: Path, images: list[Path]) -> bool:
        if not images or self._rules.as_clip is False:
            return False
        if self._rules.as_clip:
            self.notes += describe_gaps(images)
            return True
        if _videos(folder):  # its images are stills of them, or covers
            return False
        found, reason = is_sequence(images)
        if reason:
            self.notes.append(f'{folder}: {reason}')
        return found


def _videos(folder: Path) -> list[Path]:
    return [path for path in list_visible(folder) if _is_video(path)]


def _is_video(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


def _name_results(
    src: Path, dst: Path, found: list[Path], rules: Rules
) -> tuple[list[Job], list[str]]:
    """Choose the paths of results; the tree of folders is kept."""
    kinds = [
        rules.images and p.suffix.lower() not in IMAGE_SUFFIXES for p in found
    ]
    places = [_place(src, path) for path in found]
    names = [
        result_name(p, kind) for p, kind in zip(found, kinds, strict=True)
    ]
    results, notes = unique(places, names)
    jobs = [
        Job(path, dst / result, kind)
        for path, result, kind in zip(found, results, kinds, strict=True)
    ]
    return jobs, notes


def _place(src: Path, path: Path) -> Path:
    """Return a clip's path below the source; the source itself has a name."""
    return Path(src.resolve().name) if path == src else path.relative_to(src)


def _refuse_overlap(jobs: list[Job]) -> None:
    """Refuse results that would replace a source."""
    sources = {job.src.resolve() for job in jobs}
    for job in jobs:
        if job.dst.resolve() in sources:
            raise VideoError(
                f'{job.dst}: is an input; choose another folder for results'
            )


def _describe_skipped(src: Path, skipped: list[Path]) -> list[str]:
    if not skipped:
        return []
    names = [str(path.relative_to(src)) for path in skipped[:_MOST_NAMES]]
    more = len(skipped) - len(names)
    text = ', '.join(names) + (f' and {more} more' if more else '')
    return [f'{src}: no videos and no images, left alone: {text}']
