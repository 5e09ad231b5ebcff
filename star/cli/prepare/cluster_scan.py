"""Checks of videos, shared among the workers of a cluster."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from star.apis.cluster.mailbox import Mailbox
from star.cli.cluster import do_tasks

Check = Callable[[str, str, bool], dict]


class CheckWorker:
    """Checks one video after the other.

    Args:
        check: of a video.
        root: folder of the videos.
        full: decode all frames.
        box: receives nothing.
    """

    def __init__(
        self, check: Check, root: str, full: bool, box: Mailbox
    ) -> None:
        self._check, self._root, self._full = check, root, full

    def __call__(self, name: str) -> dict:
        """Return the record of a video."""
        return self._check(self._root, name, self._full)


def scan_cluster(
    args: argparse.Namespace,
    names: Sequence[str],
    check: Check,
    describe_lost: Callable[[str], dict],
) -> Iterator[dict]:
    """Check videos with workers of a cluster; results come in any order.

    Args:
        args: options of the command.
        names: of the videos, below the folder `args.videos`.
        check: of a video.
        describe_lost: makes the record of a video that ends its workers.

    Raises:
        RuntimeError: a defect of the check.
    """
    make = partial(CheckWorker, check, str(args.videos), args.full)
    for event in do_tasks(args, make, names, 'cpu'):
        if event.kind == 'gone':
            yield describe_lost(event.task)
            continue
        if event.answer.error:
            raise RuntimeError(event.answer.trace)
        yield event.answer.value
