"""Encode a config's training items once: cache_latents.py CONFIG CACHE.

The draws 0 to N - 1 of the training data set, with their crops, degradation
and prompts, become latents and text embeddings; `CachedLatents` reads them.
An interrupted run goes on where it was when it is started again. Where the
autoencoder samples its posterior, one sample is kept, of the item's own seed.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from mmengine.config import Config, DictAction
from torch.utils.data import DataLoader, Dataset

import star.datasets
import star.models  # noqa: F401
from star.apis.inference.build import load_config
from star.apis.train.latent_cache import (
    LatentEncoder,
    load_encoder,
    preprocessor_config,
)
from star.datasets.fingerprints import hash_weights, plain
from star.datasets.latent_shards import (
    DTYPES,
    CacheIndex,
    missing_shards,
    shard_path,
    start_cache,
    write_shard,
)
from star.registry import DATASETS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Encode the training items of a config once.'
    )
    parser.add_argument('config', help='a training config')
    parser.add_argument('cache', type=Path, help='folder of the cache')
    parser.add_argument(
        '--num-items', type=int, required=True, help='draws to encode'
    )
    parser.add_argument('--dtype', choices=DTYPES, default='float16')
    parser.add_argument(
        '--shard-size',
        type=int,
        default=64,
        help='items of a file; they are in memory at once',
    )
    parser.add_argument(
        '--keep-gt',
        action='store_true',
        help='keep the pixels of the ground truth as well, for losses that '
        'compare with them',
    )
    parser.add_argument(
        '--weights',
        help='of the whole model, or a folder; default: what the config says',
    )
    parser.add_argument('--device', help='default: a GPU where there is one')
    parser.add_argument(
        '--workers', type=int, default=1, help='processes that load items'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='KEY=VALUE pairs that override the config',
    )
    return parser.parse_args()


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


def describe(
    args: argparse.Namespace,
    settings: Config,
    dataset: Dataset,
    encoder: LatentEncoder,
) -> CacheIndex:
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
            'autoencoder': hash_weights(encoder.autoencoder),
            'text_encoder': hash_weights(encoder.text_encoder),
        },
    )


def same(item: dict) -> dict:
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


class Progress:
    """Says every few seconds how far it is and how long it will take."""

    def __init__(self, done: int, total: int, pause: float = 5) -> None:
        self.first = self.done = done
        self.total = total
        self.pause = pause
        self.begin = self.shown = time.monotonic()

    def step(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.shown < self.pause and self.done < self.total:
            return
        self.shown = now
        rate = (self.done - self.first) / (now - self.begin)
        left = timedelta(seconds=round((self.total - self.done) / rate))
        print(
            f'{self.done}/{self.total} items, {rate:.2f} items/s, {left} left',
            file=sys.stderr,
        )


def fill(
    args: argparse.Namespace,
    index: CacheIndex,
    dataset: Dataset,
    encoder: LatentEncoder,
) -> int:
    """Write what is missing; return how many items that was."""
    missing = missing_shards(args.cache, index)
    draws = [draw for shard in missing for draw in index.items(shard)]
    items = load_items(dataset, draws, args.workers)
    progress = Progress(index.num_items - len(draws), index.num_items)
    for number in missing:
        samples = []
        for _ in index.items(number):
            samples.append(encoder.encode(next(items)))
            progress.step()
        path = shard_path(args.cache, number)
        write_shard(path, index, samples, encoder.encode_text)
    return len(draws)


def run(args: argparse.Namespace) -> str:
    settings = load_config(args.config)
    settings.merge_from_dict(args.cfg_options or {})
    dataset = build_dataset(settings)
    encoder = load_encoder(settings, args.weights, args.device)
    index = describe(args, settings, dataset, encoder)
    start_cache(args.cache, index)
    count = fill(args, index, dataset, encoder)
    size = sum(path.stat().st_size for path in args.cache.iterdir())
    return (
        f'{args.cache}: {index.num_items} items, {count} of them new, '
        f'{size / 2**20:.1f} MiB'
    )


def main() -> int:
    args = parse_args()
    try:
        print(run(args))
    except (OSError, ValueError) as error:
        # of what a worker reports, the last line says what was wrong
        line = str(error).strip().splitlines()[-1]
        print(f'error: {line.removeprefix("ValueError: ")}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted: the same command goes on', file=sys.stderr)
        return 130
    return 0


if __name__ == '__main__':
    sys.exit(main())
