"""Items of a training data set, and the shards that hold their latents."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mmengine.config import Config
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import star.datasets
import star.models  # noqa: F401
from star.apis.inference.build import load_config
from star.apis.train.changes import apply_changes
from star.apis.train.clip_sizes import check_clips
from star.apis.train.latent_cache import load_encoder, preprocessor_config
from star.apis.train.option_text import read_changes
from star.datasets.fingerprints import hash_weights, plain
from star.datasets.latent_shards import CacheIndex, shard_path, write_shard
from star.models.contracts import Autoencoder, TextEncoder
from star.registry import DATASETS
from star.structures import VideoSample


class ItemEncoder(Protocol):
    """Computes what a cache holds of the items of a data set."""

    @property
    def autoencoder(self) -> Autoencoder:
        """The autoencoder of the latents."""

    @property
    def text_encoder(self) -> TextEncoder:
        """The text encoder of the embeddings."""

    def encode(self, item: dict) -> VideoSample:
        """Return an item's sample with all that is cached of it."""

    def encode_text(self, prompt: str) -> Tensor:
        """Embed one prompt, (L, D) on the CPU."""


@dataclass(frozen=True)
class CacheWork:
    """The settings with which shards are made.

    Args:
        index: of the cache.
        dataset: of the training.
        encoder: of its items.
    """

    index: CacheIndex
    dataset: Dataset
    encoder: ItemEncoder


def prepare(args: argparse.Namespace) -> CacheWork:
    """Load data and encoder, and describe the cache.

    Args:
        args: options of the command.

    Raises:
        ValueError: the config has no data, weights are missing, or clips do
            not fit.
    """
    settings = load_config(args.config)
    apply_changes(settings, read_changes(args.cfg_options))
    dataset = build_dataset(settings)
    check_sizes(settings, dataset)
    encoder = load_encoder(settings, args.weights, args.device)
    index = describe(args, settings, dataset, encoder)
    return CacheWork(index, dataset, encoder)


def fill_shard(
    args: argparse.Namespace,
    encoding: CacheWork,
    number: int,
    step: Callable[[], None],
    items: Iterator[dict] | None = None,
) -> int:
    """Write a shard and return the number of its items.

    Args:
        args: options of the command.
        encoding: of the cache.
        number: of the shard.
        step: called after each item.
        items: the next ones are those of the shard; None to load them.
    """
    index, encoder = encoding.index, encoding.encoder
    draws = list(index.items(number))
    if items is None:
        items = load_items(encoding.dataset, draws, args.workers)
    samples = []
    for _ in draws:
        samples.append(encoder.encode(next(items)))
        step()
    path = shard_path(args.cache, number)
    write_shard(path, index, samples, encoder.encode_text)
    return len(draws)


def build_dataset(settings: Config) -> Dataset:
    """Build the training data set.

    Raises:
        ValueError: the config has none, or none that can be cached.
    """
    try:
        config = settings.train_dataloader.dataset
    except AttributeError:
        raise ValueError(
            f'{settings.filename} has no `train_dataloader.dataset`'
        ) from None
    if config.type == 'CachedLatents':
        raise ValueError(f'{settings.filename} trains from a cache itself')
    return DATASETS.build(config)


def check_sizes(settings: Config, dataset: Dataset) -> None:
    """Refuse clips that the model could not be trained on.

    Raises:
        ValueError: naming the size; that the clips are smaller comes first.
    """
    try:
        check_clips(settings)
    except ValueError:
        dataset[0]
        raise


def describe(
    args: argparse.Namespace,
    settings: Config,
    dataset: Dataset,
    encoder: ItemEncoder,
    more: Mapping[str, Any] | None = None,
) -> CacheIndex:
    """Describe the cache, and what makes it.

    Args:
        args: options of the command.
        settings: of the training.
        dataset: of the training.
        encoder: of its items.
        more: further `configs` of the index.
    """
    model = settings.model
    return CacheIndex(
        num_items=args.num_items,
        shard_size=args.shard_size,
        dtype=args.dtype,
        keep_gt=args.keep_gt,
        num_clips=len(dataset),  # type: ignore[arg-type]
        configs={
            'dataset': plain(settings.train_dataloader.dataset),
            'data_preprocessor': plain(preprocessor_config(settings)),
            'autoencoder': plain(model.autoencoder),
            'text_encoder': plain(model.text_encoder),
            **(more or {}),
        },
        weights={
            part: hash_weights(getattr(encoder, part))
            for part in ('autoencoder', 'text_encoder')
        },
    )


def same(item: Any) -> Any:
    """Return an item as it is, where a loader would make a batch."""
    return item


def load_items(
    dataset: Dataset, draws: list[int], workers: int
) -> Iterator[dict]:
    """Draw items in the order of `draws`, in other processes if `workers`."""
    loader = DataLoader(
        dataset,
        batch_size=None,
        sampler=draws,
        num_workers=workers,
        collate_fn=same,
    )
    return iter(loader)
