"""Find the files of weights of a method to compare with, and load them."""

from pathlib import Path

from mmengine.config import Config
from torch import nn

from star.models.editors import Baseline, NetworkBaseline
from star.models.editors.weight_files import FILES
from star.registry import MODELS
from star.utils.weight_files import find_file

_HINT = 'name the file, or a folder with it, with `weights`'


def is_baseline(settings: Config) -> bool:
    """Tell whether a config's model is a method to compare with.

    Args:
        settings: a config with `model`.
    """
    kind = MODELS.get(settings.model.get('type', ''))
    return isinstance(kind, type) and issubclass(kind, Baseline)


def load_files(
    model: nn.Module,
    source: str | Path | None = None,
    weights_dir: str | Path | None = None,
) -> list[Path]:
    """Find the files that a baseline wants, and load them.

    Args:
        model: the baseline.
        source: None for the files that its config names; a file, or the
            name of a published one, in place of the first of them; or a
            folder that is searched for them first.
        weights_dir: a folder that is searched next.

    Returns:
        The files; none for a method without weights.

    Raises:
        ValueError: a file is not found, cannot be downloaded or does not
            fit, or there is nothing to load it into.
    """
    if not isinstance(model, NetworkBaseline):
        if source is not None:
            raise ValueError(
                f'`weights` means nothing to {type(model).__name__}, which '
                f'has none, got {str(source)!r}'
            )
        return []
    names, folder = list(model.wanted), weights_dir
    if source is not None:
        path = Path(source).expanduser()
        if path.is_dir():
            folder = path
        else:
            names[0] = str(path)
    paths = [_find(name, folder, type(model).__name__) for name in names]
    model.load_weights(*paths)
    return paths


def _find(name: str | None, folder: str | Path | None, method: str) -> Path:
    if name is None:
        raise ValueError(
            f'{method} has no weights: name a file with `weights`, or take '
            'random numbers'
        )
    if name in FILES:
        return find_file(FILES, [name], folder, _HINT)
    if not Path(name).is_file():
        raise ValueError(
            f'`weights`: there is no file {name}, and no published one of '
            'that name'
        )
    return Path(name)
