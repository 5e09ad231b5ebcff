"""Where the files that belong to the package lie: configs and weights."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def config_root() -> Path:
    """Find the folder of configs: the installed one, or the checkout's."""
    installed = _PACKAGE / 'configs'
    return installed if installed.is_dir() else _PACKAGE.parent / 'configs'


def config_path(name: str) -> Path:
    """Find a config that belongs to the project.

    Args:
        name: path below `configs/`, such as 'star/tiny.py'.

    Raises:
        ValueError: there is no such config.
    """
    path = config_root() / name
    if not path.is_file():
        raise ValueError(f'`name` must be a config, got {name!r}: no {path}')
    return path


def asset_path(name: str) -> Path:
    """Find a file of `star/assets`, such as 'star_tiny.safetensors'.

    Args:
        name: the file's name.

    Raises:
        ValueError: there is no such file.
    """
    path = _PACKAGE / 'assets' / name
    if not path.is_file():
        raise ValueError(f'`name` must be an asset, got {name!r}: no {path}')
    return path
