"""Encode training clips once: `star prepare cache-latents`."""

import argparse

from star.cli.common import DONE
from star.cli.prepare.cluster_latents import Prepare, fill_cluster
from star.cli.prepare.latent_items import (
    CacheWork,
    fill_shard,
    load_items,
    prepare,
)
from star.cli.progress import ItemProgress
from star.datasets.latent_shards import missing_shards, start_cache


def run(args: argparse.Namespace) -> int:
    """Fill the cache and return the exit code."""
    return report_cache(args, prepare)


def report_cache(args: argparse.Namespace, prepare: Prepare) -> int:
    """Fill a cache, print a line on it and return the exit code.

    Args:
        args: options of the command.
        prepare: loads data and encoder; a function of a module.
    """
    try:
        print(make_cache(args, prepare))
    except (OSError, ValueError) as error:
        # the last line of a loading process's error says what was wrong
        line = str(error).strip().splitlines()[-1]
        raise ValueError(line.removeprefix('ValueError: ')) from error
    return DONE


def fill(args: argparse.Namespace, encoding: CacheWork) -> int:
    """Write the missing shards and return the number of their items."""
    index = encoding.index
    missing = missing_shards(args.cache, index)
    draws = [draw for shard in missing for draw in index.items(shard)]
    items = load_items(encoding.dataset, draws, args.workers)
    done = index.num_items - len(draws)
    progress = ItemProgress(index.num_items, 'items', done)
    for number in missing:
        fill_shard(args, encoding, number, progress.step, items)
    return len(draws)


def make_cache(args: argparse.Namespace, prepare: Prepare) -> str:
    """Encode what is not in the cache yet and summarise it in a line."""
    encoding = prepare(args)
    index = encoding.index
    start_cache(args.cache, index)
    if args.ray:
        del encoding  # workers have their own
        count = fill_cluster(prepare, args, index)
    else:
        count = fill(args, encoding)
    size = sum(path.stat().st_size for path in args.cache.iterdir())
    return (
        f'{args.cache}: {index.num_items} items, {count} of them new, '
        f'{size / 2**20:.1f} MiB'
    )
