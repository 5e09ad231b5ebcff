"""The workers and simple tasks that commands with `--ray` share."""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import star
from star.apis.cluster.actors import ActorPool, Share, share_cluster
from star.apis.cluster.connection import LOCAL, connected
from star.apis.cluster.host import Worker, WorkerPlace
from star.apis.cluster.mailbox import Mailbox
from star.apis.cluster.scheduling import Event, Scheduler
from star.cli.common import say


def do_tasks(
    args: argparse.Namespace,
    make: Callable[[Mailbox], Worker],
    contents: Sequence[Any],
    device: str | None,
) -> Iterator[Event]:
    """Let workers of a cluster do tasks that tell nothing on the way.

    Args:
        args: options of the command.
        make: makes a worker.
        contents: of the tasks.
        device: that the user wants; None for GPUs if there are any.

    Yields:
        'done' or 'gone' for each task, in any order.

    Raises:
        NoWorkerError: no worker can work.
        ValueError: there is no cluster, or it is too small.
    """
    if not contents:
        return
    tell_start(args.ray)
    with connected(args.ray) as ray:
        share = share_cluster(ray, args.ray_cpus, device)
        count = min(share.count, len(contents))
        say(describe_share(share, count))
        place = place_of(share, getattr(args, 'keep_memory', False))
        pool = ActorPool(ray, share, place, make)
        for event in Scheduler(pool, count, contents).run():
            if event.kind == 'refused':
                say(f'note: a worker cannot work: {event.reason}')
            elif event.kind in ('done', 'gone'):
                yield event


def tell_start(address: str) -> None:
    """Print that a cluster is started, which takes seconds."""
    if address == LOCAL:
        say('starting a Ray cluster of this machine')


def place_of(share: Share, keep_memory: bool = False) -> WorkerPlace:
    """Return where workers are.

    Args:
        share: of each worker.
        keep_memory: keep the memory of freed tensors.
    """
    return WorkerPlace(os.getcwd(), star.__version__, share.cpus, keep_memory)


def describe_share(share: Share, count: int) -> str:
    """Describe the workers in a line."""
    each = '1 GPU' if share.gpus else f'{share.cpus} CPU'
    each += 's' * (share.cpus > 1 and not share.gpus)
    return f'{count} worker{"s" * (count > 1)}, each with {each}'
