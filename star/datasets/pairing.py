"""Clips of several folders, paired by their names."""

from collections.abc import Collection, Mapping
from pathlib import Path

from star.utils.files import list_visible
from star.video.frame_names import check_counterparts, check_numbers

_MOST_NAMED = 5  # names in an error message


def list_clips(folder: Path) -> dict[str, Path]:
    """List a folder's clips by name, in order of their names.

    Each entry that is not hidden is a clip: a video, an image, or a folder of
    images. The name of a file is used without its suffix. Files of operating
    systems, such as Thumbs.db, count as hidden.

    Raises:
        ValueError: the folder is missing or empty, or two clips have one
            name.
    """
    if not folder.is_dir():
        raise ValueError(f'no such folder: {folder}')
    clips: dict[str, Path] = {}
    for path in list_visible(folder):
        name = path.name if path.is_dir() else path.stem
        if name in clips:
            raise ValueError(
                f'{folder}: two clips are named {name!r}: '
                f'{clips[name].name} and {path.name}; rename one'
            )
        clips[name] = path
    if not clips:
        raise ValueError(f'{folder}: the folder is empty')
    return clips


def check_paired(
    root: Path, folders: Mapping[str, Collection[str]], wanted: str
) -> None:
    """Check that folders hold the same names as one of them.

    Args:
        root: where the folders are.
        folders: names of the clips in each folder.
        wanted: the folder whose names the others must have.

    Raises:
        ValueError: a name is missing or has no counterpart; the message
            lists all differences.
    """
    names = set(folders[wanted])
    faults = []
    for folder, others in folders.items():
        missing, unpaired = names - set(others), set(others) - names
        if missing:
            faults.append(f'{folder}/ lacks {name_some(missing)}')
        if unpaired:
            faults.append(f'{wanted}/ lacks {name_some(unpaired)}')
    if faults:
        raise ValueError(
            f'{root}: clips are paired by name, but {"; ".join(faults)}; add '
            'these files or remove their counterparts'
        )


def check_frames(
    folders: Mapping[str, Mapping[str, Path]], num_frames: int | None = None
) -> None:
    """Check that clips have all their frames, and the same ones in `gt`.

    Only folders of frames have names to compare; the number of frames of
    videos is compared when they are read.

    Args:
        folders: clips by name; those of 'gt' and 'lq' are checked.
        num_frames: check only the first frames; None for all.

    Raises:
        ValueError: naming the first missing frame and its folder.
    """
    parts = [folders[key] for key in ('gt', 'lq') if key in folders]
    for name in parts[0]:
        paths = [clips[name] for clips in parts if clips[name].is_dir()]
        if len(paths) == 2:
            check_counterparts(paths[0], paths[1], num_frames)
        for path in paths:
            check_numbers(path, num_frames)


def read_caption(path: Path) -> str:
    """Read a text file as one line.

    Raises:
        ValueError: the file is not UTF-8 text.
    """
    try:
        return ' '.join(path.read_text(encoding='utf-8').split())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f'{path}: not readable as UTF-8 text ({error})'
        ) from None


def name_some(names: Collection[str]) -> str:
    """List the first few names, and count the others."""
    first = ', '.join(sorted(names)[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return f'{first} and {more} more' if more > 0 else first
