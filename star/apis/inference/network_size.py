"""Weights of CogVideoX's transformer: of the size of a config, or refused."""

from pathlib import Path
from typing import Any

from mmengine.config import Config

from star.apis.inference.build import build_part, load_config
from star.models.backbones.cogvideox.published import (
    NetworkSize,
    check_size,
    find_size,
)
from star.utils.tensor_files import open_safetensors


def config_size(config: str) -> NetworkSize:
    """Return the size of a config's transformer of CogVideoX.

    Args:
        config: its file or its name.

    Raises:
        ValueError: the config has another backbone.
    """
    settings = load_config(config)
    size = _size_of(settings)
    if size is None:
        raise ValueError(f'config {config} has no transformer of CogVideoX')
    return size


def refuse_other_size(config: Config, path: Any) -> None:
    """Refuse a converted file of CogVideoX that does not fit a config.

    Only names and shapes are read, and only of a safetensors file that holds
    such a network; all else is left to loading.

    Args:
        config: with `model`.
        path: of weights; anything that is no file is left alone.

    Raises:
        ValueError: in one line: both models, and the config that fits.
    """
    if path is None or Path(path).suffix != '.safetensors':
        return
    if not Path(path).is_file() or 'backbone' not in config.model:
        return
    found = find_size(open_safetensors(path))
    if found is not None:
        name = Path(config.filename or 'the config').stem
        check_size(found, _size_of(config), path, name)


def _size_of(config: Config) -> NetworkSize | None:
    if 'backbone' not in config.model:
        return None
    backbone = build_part(config, 'backbone', 'meta')
    return find_size(backbone.state_dict())
