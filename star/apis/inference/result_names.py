"""Names of results: from those of the sources, each once."""

import os
import unicodedata
from collections import Counter
from pathlib import Path

from star.utils.files import beside
from star.video.formats import ANIMATED, IMAGE_SUFFIXES, STILLS
from star.video.pictures.sinks import FRAME_NAME

RECORD = '.star.json'  # end of the name of the record beside a result
# containers of videos that are kept; the others hold less than `.mkv`
_KEPT = ('.mp4', '.m4v', '.mov', '.mkv', '.webm')


def result_name(path: Path, images: bool) -> str:
    """Name the result of a clip or picture.

    A result keeps the source's name. A video in a container that holds less
    than `.mkv`, such as `.avi`, becomes `.mkv`; a picture whose kind of file
    the writer does not make `.png`; a folder of images `.mp4`.

    Args:
        path: the source.
        images: the result is a folder of images.
    """
    if images:
        return path.stem if path.is_file() else path.resolve().name
    if path.is_dir():
        return beside(path.resolve(), suffix='.mp4').name
    suffix = path.suffix.lower()
    kept = (*_KEPT, *ANIMATED, *STILLS)
    if suffix in kept:
        return path.name
    new = '.png' if suffix in IMAGE_SUFFIXES else '.mkv'
    return beside(path.with_name(path.stem), suffix=new).name


def unique(
    places: list[Path], names: list[str]
) -> tuple[list[Path], list[str]]:
    """Give every result a name of its own, for any file system.

    Names that differ in capitals only are one name on some file systems.

    Args:
        places: the sources' paths below the folder that is restored.
        names: of their results, without the folders.

    Returns:
        The results' paths below the folder of results, and a note for each
        result that has another name than expected.
    """
    wanted = [p.parent / n for p, n in zip(places, names, strict=True)]
    often = Counter(map(_key, wanted))
    taken = {_key(folder) for path in wanted for folder in path.parents}
    results, notes = [], []
    for place, path in zip(places, wanted, strict=True):
        if often[_key(path)] > 1 and path.name != place.name:
            path = path.with_name(beside(place, suffix=path.suffix).name)
        first, number = path, 1
        while _key(path) in taken:
            number += 1
            end = f' ({number}){first.suffix}'
            path = beside(first.with_name(first.stem), suffix=end)
        if path != first:
            notes.append(
                f'{place}: the result is {path}, as another has its name'
            )
        taken.add(_key(path))
        results.append(path)
    return results, notes


def holds_frames(folder: Path) -> bool:
    """Return whether a folder holds a result's numbered images only."""
    names = os.listdir(folder) if folder.is_dir() else []
    return bool(names) and all(map(FRAME_NAME.fullmatch, names))


def _key(path: Path) -> str:
    return unicodedata.normalize('NFC', os.fspath(path)).casefold()
