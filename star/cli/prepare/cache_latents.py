"""Encode training clips once: `star prepare cache-latents`."""

import argparse
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from torch.utils.data import DataLoader, Dataset

import star.datasets
import star.models  # noqa: F401
from star.apis.inference.build import load_config
from star.apis.train.changes import apply_changes
from star.apis.train.clip_sizes import check_clips
from star.apis.train.latent_cache import (
    LatentEncoder,
    load_encoder,
    preprocessor_config,
)
from star.apis.train.option_text import read_changes
from star.cli.common import DONE
from star.cli.progress import ItemProgress
from star.datasets.fingerprints import hash_weights, plain
from star.datasets.latent_shards import (
    CacheIndex,
    missing_shards,
    shard_path,
    start_cache,
    write_shard,
)
from star.registry import DATASETS


def run(args: argparse.Namespace) -> int:
    """Fill the cache and return the exit code."""
    try:
        print(make_cache(args))
    except (OSError, ValueError) as error:
        # the last line of a loading process's error says what was wrong
        line = str(error).strip().splitlines()[-1]
        raise ValueError(line.removeprefix('ValueError: ')) from error
    return DONE


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
    encoder: LatentEncoder,
) -> CacheIndex:
    """Describe the cache, and what makes it."""
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


def fill(
    args: argparse.Namespace,
    index: CacheIndex,
    dataset: Dataset,
    encoder: LatentEncoder,
) -> int:
    """Write the missing shards and return the number of their items."""
    missing = missing_shards(args.cache, index)
    draws = [draw for shard in missing for draw in index.items(shard)]
    items = load_items(dataset, draws, args.workers)
    done = index.num_items - len(draws)
    progress = ItemProgress(index.num_items, 'items', done)
    for number in missing:
        samples = []
        for _ in index.items(number):
            samples.append(encoder.encode(next(items)))
            progress.step()
        path = shard_path(args.cache, number)
        write_shard(path, index, samples, encoder.encode_text)
    return len(draws)


def make_cache(args: argparse.Namespace) -> str:
    """Encode what is not in the cache yet and summarise it in a line."""
    settings = load_config(args.config)
    apply_changes(settings, read_changes(args.cfg_options))
    dataset = build_dataset(settings)
    check_sizes(settings, dataset)
    encoder = load_encoder(settings, args.weights, args.device)
    index = describe(args, settings, dataset, encoder)
    start_cache(args.cache, index)
    count = fill(args, index, dataset, encoder)
    size = sum(path.stat().st_size for path in args.cache.iterdir())
    return (
        f'{args.cache}: {index.num_items} items, {count} of them new, '
        f'{size / 2**20:.1f} MiB'
    )
