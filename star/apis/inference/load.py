"""Load a model: the one way from a config and files to weights.

Restoring, testing, training, resuming and publishing all call `load_model`.
It states the origin of every tensor, and refuses a model of which a part
would be random numbers that nobody asked for.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from star.apis.inference.baselines import load_files, names_files
from star.apis.inference.build import (
    build_model,
    build_with_weights,
    load_config,
    on_meta,
    take_random,
    without_text,
)
from star.apis.inference.devices import find_device, find_model_dtype
from star.apis.inference.held import (
    Held,
    is_checkpoint,
    read_held,
    resolve,
)
from star.apis.inference.hub import find_published
from star.apis.inference.model_files import (
    base_files,
    check_config_files,
    describe_files,
    files_in_config,
)
from star.apis.inference.network_size import refuse_other_size
from star.apis.inference.random_parts import refuse_random
from star.apis.inference.savings import OFF, Savings, place_with
from star.apis.inference.stored_prompts import find_files
from star.apis.inference.weights import RANDOM, own_files, start_files
from star.apis.pipeline.folder import (
    describe_folder,
    is_pipeline,
    load_folder,
    read_pipeline_config,
)
from star.models.contracts import Restorer
from star.models.editors.weight_files import FILES
from star.models.layers.lora import merge_lora
from star.utils.checkpoint_folder import CONFIG
from star.utils.origins import (
    CHECKPOINT,
    SourceFile,
    account,
    file_of,
    not_allowed,
    set_record,
)
from star.utils.randomness import RandomTracker
from star.utils.state_dicts import find_misfits

NONE = 'none'  # a checkpoint of random numbers


@dataclass(frozen=True)
class Source:
    """The source of a model's weights.

    Args:
        checkpoint: a training's folder or its `iter_N`, a file with all or
            the trained tensors, a word of the config's `variants`, the name
            of a published file, or 'none' for random numbers; None for what
            `weights` says.
        weights: source of what the checkpoint does not hold, or of all
            weights: as for `find_weights`, for a baseline as for
            `load_files`, or 'random'; None for the files that the
            checkpoint's own record names, else those of the config.
        averaged: take the averaged weights of the checkpoint.
        weights_dir: folder that is searched for a baseline's files.
        training: the model is to be trained: its `start_weights` count, and
            what learns may start from random numbers.
    """

    checkpoint: str | Path | None = None
    weights: str | Path | None = None
    averaged: bool = False
    weights_dir: str | Path | None = None
    training: bool = False

    @property
    def is_random(self) -> bool:
        """Return whether random numbers are asked for by name."""
        return str(self.checkpoint) == NONE or (
            self.checkpoint is None and str(self.weights) == RANDOM
        )


def init_model(
    config: str | Path | None = None,
    weights: str | Path | None = None,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    savings: Savings = OFF,
) -> Restorer:
    """Build a model with its weights, on its device.

    Args:
        config: a config file, or the name of one in a folder of
            `configs`, such as 'i2vgen' or 'realbasicvsr'; a published model,
            'hf://owner/name' or as for `find_published`; None for
            the small model that ships with the package, or for the config
            of the checkpoint that `weights` names.
        weights: None for those that the config names; a file, a folder or a
            word as for `find_weights`, or as for `load_files` if the model
            names its files; a checkpoint of a training; 'random' for random
            numbers, enough to measure the cost. For a published model: where
            the files lie that it does not hold.
        device: None for a GPU where there is one.
        dtype: of the networks' weights, one of `DTYPES`; None as for
            `find_model_dtype`.
        savings: of memory and time; none unless chosen.

    Returns:
        The STARModel or baseline, in evaluation mode.

    Raises:
        ValueError: an argument is wrong, a file is missing or unfit.
        ImportError: a baseline needs an extra that is not installed.
    """
    target = find_device(device)
    settings, source = find_source(config, weights)
    model: Any = load_model(settings, source)
    name = Path(settings.filename or '').stem
    model.config_name = settings.get('config_name', name)
    model.config_text = str(settings.model)
    merge_lora(model)
    place_with(model, target, find_model_dtype(model, dtype, target), savings)
    return model.eval()


def find_source(
    config: str | Path | None = None, weights: str | Path | None = None
) -> tuple[Config, Source]:
    """Find the config of a model, and where its weights come from.

    Args:
        config: as for `init_model`.
        weights: as for `init_model`.

    Raises:
        ValueError: as for `find_published` and `load_config`.
    """
    published = find_published(config)
    if published is None:
        return read_config(config, weights), Source(None, weights)
    if str(weights) == RANDOM:
        return published.settings, Source(None, weights)
    return published.settings, Source(published.weights, weights)


def read_config(
    config: str | Path | None = None, weights: str | Path | None = None
) -> Config:
    """Read a config, or the one in the checkpoint that `weights` names.

    Args:
        config: as for `init_model`.
        weights: as for `init_model`.

    Raises:
        ValueError: as for `load_config`.
    """
    if config is None and weights is not None and is_checkpoint(weights):
        own = resolve(Path(weights)) / CONFIG
        if own.is_file():
            return load_config(own)
    if config is None and weights is not None and is_pipeline(weights):
        return read_pipeline_config(weights)
    return load_config(config)


def load_model(config: Config, source: Source = Source()) -> nn.Module:
    """Build a config's model with its weights and their record.

    Args:
        config: with `model`.
        source: of the weights.

    Returns:
        The model; `star.utils.origins.get_record` returns its origins.

    Raises:
        ValueError: weights are missing, do not fit, are not those that the
            checkpoint names, or a part would be random without its name.
    """
    source = _sorted_out(config, source)
    for path in (source.checkpoint, source.weights):
        refuse_other_size(config, path)
    with RandomTracker() as tracker:
        model, files = _load(config, source)
        keep_config(model, config)
        random = tracker.find_random(model)
    files = [*files_in_config(config.model), *files]
    if not (source.is_random and not source.training):
        what = source.checkpoint or source.weights or 'the config'
        unasked = not_allowed(model, random)
        refuse_random(model, unasked, what, source.training)
    set_record(model, account(model, random, files))
    return model


def keep_config(model: Any, config: Config) -> None:
    """Let a model know what it was built from, unless it does."""
    if not hasattr(model, 'config_model'):
        model.config_model = config.model


def _sorted_out(config: Config, source: Source) -> Source:
    """Separate checkpoints from sources of weights; apply `random`."""
    weights, checkpoint = source.weights, source.checkpoint
    words = config.get('weights', {}).get('variants', {})
    if str(checkpoint) in words:
        return replace(source, checkpoint=None, weights=str(checkpoint))
    if checkpoint is None and weights is not None and is_checkpoint(weights):
        return replace(source, checkpoint=weights, weights=None)
    unnamed = checkpoint is None and weights is None and not source.training
    if unnamed and config.get('weights', {}).get('random', False):
        return replace(source, weights=RANDOM)
    return source


def _load(
    config: Config, source: Source
) -> tuple[nn.Module, list[SourceFile]]:
    """Build the model and load it; return the files that it came from."""
    if source.is_random and not source.training:
        config = without_text(config)
        model: Any = build_model(config)
        keep_config(model, config)  # with another text encoder
        if names_files(config) and not model.weight_files:
            word = None if source.checkpoint else source.weights
            load_files(model, word)  # refuses `random` for what has none
        take_random(model)
        return model, []
    if names_files(config):
        return _load_baseline(config, source)
    if source.checkpoint is not None:
        return _load_checkpoint(config, source)
    return _load_files(config, source)


def _load_baseline(
    config: Config, source: Source
) -> tuple[nn.Module, list[SourceFile]]:
    """Build a baseline and load its files."""
    word, folder = source.checkpoint, source.weights_dir
    if word is not None:
        if str(word) not in FILES and not Path(word).is_file():
            raise ValueError(f'there is no checkpoint {str(word)!r}')
        folder = source.weights or folder
    model: Any = build_model(config)
    paths = load_files(model, word or source.weights, folder)
    return model, [file_of(CHECKPOINT, path, ['']) for path in paths]


def _load_files(
    config: Config, source: Source
) -> tuple[nn.Module, list[SourceFile]]:
    """Load the files that a config, or the user in their place, names."""
    wanted = own_files(config)
    if source.training:
        wanted = start_files(config, source.weights)
        if not wanted and str(source.weights or RANDOM) == RANDOM:
            return build_with_weights(config, {}, partly=True), []
    if source.weights is not None and is_pipeline(source.weights):
        model = load_folder(config, source.weights)
        return model, describe_folder(model, source.weights)
    paths = find_files(wanted, source.weights)
    refuse_other_size(config, paths.get('star'))
    # a training may have files for what it freezes alone
    whole = not paths or {'asset', 'star'} & paths.keys()
    partly = source.training and not whole
    model = build_with_weights(config, paths, partly)
    return model, describe_files(model, paths)


def _load_checkpoint(
    config: Config, source: Source
) -> tuple[nn.Module, list[SourceFile]]:
    """Load what a checkpoint does not hold, and then the checkpoint."""
    assert source.checkpoint is not None
    held = read_held(source.checkpoint, source.averaged)
    check_config_files(config, held)
    lacking = set() if held.record else _lacking(config, held)
    paths = base_files(config, source.weights, held, lacking)
    model = build_with_weights(config, paths, partly=True)
    _overlay(model, held)
    files = describe_files(model, paths)
    whole = tuple(held.state)
    here = [replace(f, prefixes=f.prefixes or whole) for f in held.files]
    return model, [*files, *here]


def _lacking(config: Config, held: Held) -> set[str]:
    """Return the names of the tensors that a checkpoint does not hold."""
    with on_meta():
        return build_model(config).state_dict().keys() - held.state.keys()


def _overlay(model: nn.Module, held: Held) -> None:
    """Load a checkpoint's tensors over the others."""
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    misfits = find_misfits(model.state_dict(), held.state, trained)
    if misfits:
        raise ValueError(f'{held.name} does not fit the model: {misfits}')
    model.load_state_dict(held.state, strict=False)
