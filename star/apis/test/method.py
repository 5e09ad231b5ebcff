"""The tested method: a config's model with its weights.

Unlike `star.apis.inference.build.init_model` this accepts a training's
checkpoint, a baseline's file, or no weights at all, and records the files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from star.apis.inference.baselines import load_files, names_files
from star.apis.inference.build import (
    build_model,
    build_with_weights,
    is_random,
    take_random,
    without_text,
)
from star.apis.inference.weights import find_weights
from star.apis.train.training import start_files
from star.models.editors.weight_files import FILES
from star.models.layers.lora import merge_lora
from star.registry import MODELS
from star.utils.files import sha256_of
from star.utils.state_dicts import find_misfits
from star.utils.tensor_files import read_state

_TRAINED, _AVERAGED = 'weights.safetensors', 'ema.safetensors'


@dataclass(frozen=True)
class TestedMethod:
    """A model and the source of its weights.

    Args:
        model: frozen.
        checkpoint: as the user gave it; None for the config's own.
        files: SHA-256 of each file of weights by its name.
        random_init: the weights are random numbers.
    """

    __test__ = False  # not a test of pytest

    model: nn.Module
    checkpoint: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    random_init: bool = False


def load_method(
    config: Config,
    checkpoint: str | Path | None = None,
    weights: str | None = None,
    averaged: bool = False,
    weights_dir: str | None = None,
) -> TestedMethod:
    """Build a config's model with its weights.

    Args:
        config: with `model`.
        checkpoint: None for the weights that the config names; a variant of
            the config's `weights`; the folder `iter_N` of a training; a file
            with all or the trained tensors, or with a baseline's weights; or
            'none' for random numbers.
        weights: source of the weights that were not trained, and of those
            that the config names: as for `find_weights`, for a baseline as
            for `load_files`.
        averaged: take the averaged weights of the folder.
        weights_dir: folder that is searched for a baseline's files.

    Raises:
        ValueError: the weights are missing, or do not fit the model.
    """
    word = None if checkpoint is None else str(checkpoint)
    if word == 'none':
        return _without_weights(config)
    if names_files(config):
        return _baseline(config, word, weights, weights_dir)
    if word is None or word in config.get('weights', {}).get('variants', {}):
        return _with_own_weights(config, word, weights)
    if not Path(word).exists():
        raise ValueError(f'there is no checkpoint {word!r}')
    path = Path(word)
    if path.is_dir():
        path = path / (_AVERAGED if averaged else _TRAINED)
    return _with_trained(config, path, weights)


def load_trained(model: nn.Module, path: Path) -> None:
    """Load a file that has at least the trained tensors of a model.

    Args:
        model: keeps its dtype and device.
        path: the file.

    Raises:
        ValueError: a trained tensor is missing, or a tensor is unknown.
    """
    state = read_state(path)
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    misfits = find_misfits(model.state_dict(), state, trained)
    if misfits:
        raise ValueError(f'{path} does not fit the model: {misfits}')
    model.load_state_dict(state, strict=False)


def _without_weights(config: Config) -> TestedMethod:
    if 'text_encoder' in config.model:
        config = without_text(config)
    model = build_model(config)
    take_random(model)
    return TestedMethod(
        _frozen(model), 'none', random_init=_has_weights(model)
    )


def _with_own_weights(
    config: Config, word: str | None, weights: str | None
) -> TestedMethod:
    """Load the weights that the config names, or a variant of them."""
    wanted = config.get('weights', {})
    if is_random(config, word or weights):
        return _without_weights(config)
    if wanted:
        paths = find_weights(wanted, word or weights)
        model = build_with_weights(config, paths)
        return TestedMethod(_frozen(model), word, _digests(paths))
    model = build_model(config)
    if _has_weights(model):
        raise ValueError(
            f'config {config.filename} names no weights: give CHECKPOINT, or '
            '`none` for random numbers'
        )
    return TestedMethod(_frozen(model))


def _baseline(
    config: Config, word: str | None, weights: str | None, folder: str | None
) -> TestedMethod:
    """Build a baseline and load its files."""
    if word is not None and word not in FILES and not Path(word).is_file():
        raise ValueError(f'there is no checkpoint {word!r}')
    if word is not None and weights is not None:
        folder = weights
    model: Any = build_model(config)
    paths = load_files(model, word or weights, folder)
    files = _digests({str(path): path for path in paths})
    return TestedMethod(_frozen(model), word, files)


def _with_trained(
    config: Config, path: Path, weights: str | None
) -> TestedMethod:
    """Load the weights a training started from, and its checkpoint."""
    wanted = start_files(config, weights)
    paths = find_weights(wanted, weights) if wanted else {}
    if paths:
        model = build_with_weights(config, paths)
    else:
        model = MODELS.build(config.model)
    load_trained(model, path)
    files = _digests({**paths, 'checkpoint': path})
    return TestedMethod(_frozen(model), str(path), files)


def _has_weights(model: nn.Module) -> bool:
    return any(True for _ in model.parameters())


def _frozen(model: nn.Module) -> nn.Module:
    merge_lora(model)  # nothing is trained any more
    return model.requires_grad_(False).eval()


def _digests(paths: Mapping[str, Path]) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in paths.values()}
