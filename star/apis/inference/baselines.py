"""Finding and loading the weights of methods that name their files."""

from pathlib import Path

from mmengine.config import Config

from star.models.contracts import Restorer
from star.models.editors.base import Baseline
from star.models.editors.weight_files import FILES
from star.registry import MODELS
from star.utils.weight_files import find_file

_HINT = 'name the file, or a folder with it, with `weights`'


def names_files(settings: Config) -> bool:
    """Return `names_files` of a config's model, before it is built.

    Args:
        settings: a config with `model`.
    """
    kind = MODELS.get(settings.model.get('type', ''))
    return getattr(kind, 'names_files', False)


def load_files(
    restorer: Restorer,
    source: str | Path | None = None,
    weights_dir: str | Path | None = None,
) -> list[Path]:
    """Find the files that a restorer names, and load them.

    Args:
        restorer: loads its `weight_files`.
        source: None for the files that its config names; a file, or the
            name of a published one, in place of the first of them; or a
            folder that is searched for them first.
        weights_dir: a folder that is searched next; None for that of the
            file in `source`.

    Returns:
        The files; none for a method without weights.

    Raises:
        ValueError: a file is not found, cannot be downloaded or does not
            fit, or there is nothing to load it into.
    """
    method = type(restorer).__name__
    names, folder = list(restorer.weight_files), weights_dir
    if not names:
        if source is not None:
            raise ValueError(
                f'`weights` means nothing to {method}, which has none, got '
                f'{str(source)!r}'
            )
        return []
    if source is not None:
        path = Path(source).expanduser()
        if path.is_dir():
            folder = path
        else:
            names = [str(path), *_beside(restorer, path)]
            if path.is_file():
                folder = folder or path.parent
    if names[0] is not None and None in names[1:]:
        raise ValueError(
            f'{method} needs {len(names)} files, of which the config names '
            f'{sum(n is not None for n in restorer.weight_files)}: name them '
            'in a config, or give a converted file with `weights`'
        )
    paths = [_find(name, folder, method) for name in names]
    restorer.load_weights(*paths)
    return paths


def _beside(restorer: Restorer, path: Path) -> tuple[str | None, ...]:
    if isinstance(restorer, Baseline):
        return restorer.files_beside(path)
    return restorer.weight_files[1:]


def _find(name: str | None, folder: str | Path | None, method: str) -> Path:
    if name is None:
        raise ValueError(
            f'{method} has no weights: name a file with `weights`, or take '
            'random numbers'
        )
    if name in FILES:
        return find_file([FILES[name]], folder, _HINT)
    if not Path(name).is_file():
        raise ValueError(
            f'`weights`: there is no file {name}, and no published one of '
            'that name'
        )
    return Path(name)
