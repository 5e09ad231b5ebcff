"""`star restore` in several processes that torchrun started.

The first one, the leader, runs the command; the others compute for it and
print nothing.
"""

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import torch

from star.apis import init_model
from star.apis.inference.savings import Savings
from star.cli.common import DONE, INCOMPLETE, say
from star.models.restoration.sharing import is_shared
from star.utils.distributed import (
    Calls,
    LostProcessError,
    Team,
    connect,
    disconnect,
    excuse,
    find_place,
    serve,
)


@contextmanager
def joined() -> Iterator[Team | None]:
    """Connect the processes in the body; yield the others, None if alone."""
    size = find_place().size
    if size == 1:
        yield None
        return
    connect()
    team = Team(size)
    try:
        yield team
        team.close()
    finally:
        disconnect()


def share(model: Any, team: Team | None) -> None:
    """Share a model's work with the other processes, if there are any.

    Raises:
        ValueError: another process cannot work.
    """
    if team is None:
        return
    if is_shared(model):
        try:
            team.check()
        except LostProcessError as error:
            raise ValueError(str(error)) from error
        model.team = team
    else:
        name, idle = type(model).__name__, team.size - 1
        say(f'note: {name} works in one process; {idle} more do nothing')


def run(args: argparse.Namespace) -> int:
    """Compute for the leader until it is done; return the exit code."""
    # at once, also while gloo waits: the leader says that it was interrupted
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    connect()
    try:
        helper = load_helper(args)
        if helper is not None:
            serve(helper)
    except RuntimeError:  # of gloo: the leader has ended, and said why
        return INCOMPLETE
    finally:
        disconnect()
    return DONE


def load_helper(args: argparse.Namespace) -> Calls | None:
    """Load what does the leader's calls; None if it has none.

    The leader prints why a model cannot be loaded here.
    """
    try:
        savings = {f.name: getattr(args, f.name) for f in fields(Savings)}
        model: Any = init_model(
            args.config,
            args.weights,
            choose_device(args.device),
            args.dtype,
            Savings(**savings),
        )
    except Exception as error:
        excuse(error)
        return None
    return model.make_helper() if is_shared(model) else None


def choose_device(device: str | None) -> str | None:
    """Return the device of this process: each has a GPU of its own.

    Args:
        device: that the user wants; None for a GPU if there is one.

    Raises:
        ValueError: the device is one GPU for several processes, or there are
            fewer GPUs than processes.
    """
    place = find_place()
    if place.size == 1:
        return device
    kind, _, index = (device or 'cuda').partition(':')
    if kind != 'cuda' or (device is None and not torch.cuda.is_available()):
        return device
    if index:
        raise ValueError(
            f'--device {device} is one GPU, and there are {place.size} '
            'processes: give cuda, and each takes one'
        )
    count = torch.cuda.device_count()
    if torch.cuda.is_available() and place.local_rank >= count:
        raise ValueError(
            f'process {place.rank} has no GPU: this machine shows {count}'
        )
    return f'cuda:{place.local_rank}'
