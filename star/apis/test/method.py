"""The tested method: a config's model with its weights, frozen."""

from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config
from torch import nn

from star.apis.inference.baselines import names_files
from star.apis.inference.load import Source, load_model
from star.models.layers.lora import merge_lora
from star.utils.origins import Origin, is_random, record_of


@dataclass(frozen=True)
class TestedMethod:
    """A model and the source of its weights.

    Args:
        model: frozen.
        checkpoint: as the user gave it; None for the config's own.
        files: SHA-256 of each file of weights by its name.
        random_init: weights are random numbers, of some parts or all.
        origins: of all tensors.
    """

    __test__ = False  # not a test of pytest

    model: nn.Module
    checkpoint: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    random_init: bool = False
    origins: tuple[Origin, ...] = ()


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
        checkpoint: as for `Source`.
        weights: as for `Source`.
        averaged: take the averaged weights of the checkpoint.
        weights_dir: folder that is searched for a baseline's files.

    Raises:
        ValueError: the weights are missing, or do not fit the model.
    """
    word = None if checkpoint is None else str(checkpoint)
    if averaged and (word is None or names_files(config)):
        raise ValueError('--ema goes with the checkpoint of a training')
    model = load_model(
        config, Source(word, weights, averaged, weights_dir, training=False)
    )
    record = record_of(model)
    merge_lora(model)  # nothing is trained any more
    return TestedMethod(
        model.requires_grad_(False).eval(),
        word,
        {file.name: file.sha256 for file in record.files},
        is_random(model),
        tuple(record.origins),
    )
