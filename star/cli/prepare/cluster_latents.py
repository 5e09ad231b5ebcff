"""Shards of a latent cache, encoded by the workers of a cluster."""

import argparse
from collections.abc import Callable
from functools import partial

from star.apis.cluster.mailbox import Mailbox
from star.cli.cluster import do_tasks
from star.cli.prepare.latent_items import CacheWork, fill_shard
from star.cli.progress import ItemProgress
from star.datasets.latent_shards import CacheIndex, missing_shards

Prepare = Callable[[argparse.Namespace], CacheWork]


class ShardWorker:
    """Encodes one shard after the other.

    Args:
        prepare: loads data and encoder; a function of a module.
        args: options of the command.
        index: of the cache.
        box: receives nothing.

    Raises:
        ValueError: weights or data are not here, or are others.
    """

    def __init__(
        self,
        prepare: Prepare,
        args: argparse.Namespace,
        index: CacheIndex,
        box: Mailbox,
    ) -> None:
        self._encoding: CacheWork = prepare(args)
        self._args, self._box = args, box
        if self._encoding.index.key() != index.key():
            raise ValueError(
                'a machine of the cluster has other data or weights than the '
                'driver'
            )

    def __call__(self, number: int) -> int:
        """Write a shard and return the number of its items."""
        return fill_shard(self._args, self._encoding, number, self._box.check)


def fill_cluster(
    prepare: Prepare, args: argparse.Namespace, index: CacheIndex
) -> int:
    """Write the missing shards and return the number of their items.

    Args:
        prepare: loads data and encoder on each worker.
        args: options of the command.
        index: of the cache, which has begun.

    Raises:
        ValueError: a shard cannot be encoded, or no worker can work.
    """
    missing = missing_shards(args.cache, index)
    count = sum(len(index.items(number)) for number in missing)
    progress = ItemProgress(index.num_items, 'items', index.num_items - count)
    make = partial(ShardWorker, prepare, args, index)
    for event in do_tasks(args, make, missing, args.device):
        if event.kind == 'gone':
            raise ValueError(
                f'several workers were lost with shard {event.task} '
                f'({event.reason})'
            )
        if event.answer.error:
            raise ValueError(event.answer.error)
        for _ in range(event.answer.value):
            progress.step()
    return count
