"""Paths of the files that belong to the package: configs and weights."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def config_root() -> Path:
    """Find the folder of configs.

    Returns:
        The folder in `star/.mim`, which mim and mmengine read too: a copy in
        an installed package, a symbolic link in a checkout. Where a checkout
        has no symbolic links, the folder beside the package.
    """
    configs = _PACKAGE / '.mim' / 'configs'
    if not configs.is_dir():
        configs = _PACKAGE.parent / 'configs'
    return configs.resolve()


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


def asset_folder() -> Path:
    """Return the folder of the files that ship with the package."""
    return _PACKAGE / 'assets'


def asset_path(name: str) -> Path:
    """Find a file of `star/assets`, such as 'star_tiny_compact.safetensors'.

    Args:
        name: the file's name.

    Raises:
        ValueError: there is no such file.
    """
    path = asset_folder() / name
    if not path.is_file():
        raise ValueError(f'`name` must be an asset, got {name!r}: no {path}')
    return path
