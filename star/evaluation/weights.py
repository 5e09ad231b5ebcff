"""Find the files of weights that metrics need.

A file that the user names is taken; else a published one is searched and
downloaded.
"""

from pathlib import Path

from star.evaluation.weight_files import FILES
from star.utils.weight_files import find_file


def find_weights(
    name: str,
    path: str | Path | None = None,
    weights_dir: str | Path | None = None,
) -> Path:
    """Find a published file of weights; download it where it is nowhere.

    Args:
        name: one of `FILES`.
        path: the file to take instead, whatever it is called.
        weights_dir: folder that is searched first for the published name.

    Raises:
        ValueError: it is not found and cannot be downloaded, or a file of
            the published name is not the published one.
    """
    return find_any((name,), path, weights_dir)


def find_any(
    names: tuple[str, ...],
    path: str | Path | None = None,
    weights_dir: str | Path | None = None,
) -> Path:
    """Find one of several files that do equally well.

    Args:
        names: of `FILES`, the preferred first; the last can be downloaded.
        path: as for `find_weights`.
        weights_dir: likewise.

    Raises:
        ValueError: as for `find_weights`.
    """
    if path is None:
        return find_file([FILES[name] for name in names], weights_dir)
    if not Path(path).is_file():
        raise ValueError(f'`weights`: there is no file {path}')
    return Path(path)
