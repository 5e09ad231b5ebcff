"""Clips of several folders, paired by their names."""

from collections.abc import Collection, Mapping
from pathlib import Path

_MOST_NAMED = 5  # names in an error message


def list_clips(folder: Path) -> dict[str, Path]:
    """List a folder's clips by name, in order of their names.

    Each entry that is not hidden is a clip: a video, an image, or a folder of
    images. The name of a file is used without its suffix.

    Raises:
        ValueError: the folder is missing or empty, or two clips have one
            name.
    """
    if not folder.is_dir():
        raise ValueError(f'no such folder: {folder}')
    clips: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith('.'):
            continue
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
