"""Calls that processes of torchrun do for the first of them.

The first process, the leader, does all that is no network: it reads, plans
and writes. The others answer its calls, one after another. All speak through
gloo, on the CPU: it notices a process that has ended at once, also where the
networks run on GPUs.
"""

import os
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from io import BytesIO
from itertools import islice
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = timedelta(days=30)  # a call on a CPU may take hours
SIGNALS = 1.0  # seconds until a signal to all processes has come to each

Calls = Callable[[str, tuple], Any]
# `map`, or what calls the same function in several processes
Spread = Callable[..., Iterator[Any]]


class LostProcessError(Exception):
    """Raised in the leader when another process has ended.

    It is no OSError: those are of the files that are written.
    """


class ProcessPlace(NamedTuple):
    """Place of this process among those that torchrun started.

    Args:
        rank: 0 for the leader.
        local_rank: the same on its machine.
        size: number of processes.
    """

    rank: int
    local_rank: int
    size: int


def find_place() -> ProcessPlace:
    """Return the place of this process; rank 0 of 1 without torchrun."""
    if not dist.is_torchelastic_launched():
        return ProcessPlace(0, 0, 1)
    names = ('RANK', 'LOCAL_RANK', 'WORLD_SIZE')
    return ProcessPlace(*(int(os.environ[name]) for name in names))


def connect() -> None:
    """Connect the processes that torchrun started."""
    dist.init_process_group('gloo', timeout=PATIENCE)


def disconnect() -> None:
    """Leave the processes; those that wait for this one notice it."""
    if dist.is_initialized():
        dist.destroy_process_group()


class Team:
    """The other processes, as the leader sees them.

    Args:
        size: number of all processes.

    Attributes:
        ready: whether the others wait for calls.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.ready = False

    def check(self) -> None:
        """Wait until all others are ready.

        Raises:
            ValueError: one cannot work, and why.
            LostProcessError: one has ended.
        """
        self._collect(range(1, self.size))
        self.ready = True

    def tell(self, name: str, *args: object) -> None:
        """Let all others do a call, and wait for them.

        Args:
            name: of the call.
            args: of the call.
        """
        for rank in range(1, self.size):
            self._ask(rank, name, args)
        self._collect(range(1, self.size))

    def spread(self, name: str) -> Spread:
        """Make a function that takes the place of `map`.

        Args:
            name: of the call by which the others do what the mapped function
                does here.

        Returns:
            Like `map`: the results come in the order of the arguments. As
            many as there are processes are computed at a time.
        """

        def spread(function: Callable, *iterables: Iterable) -> Iterator[Any]:
            rest = zip(*iterables)  # noqa: B905 - may be infinite, as for map
            while batch := list(islice(rest, self.size)):
                yield from self._compute(name, function, batch)

        return spread

    def close(self) -> None:
        """Send the others home, unless they are gone or at work."""
        for rank in range(1, self.size) if self.ready else ():
            self._ask(rank, '', ())
        self.ready = False

    def _compute(
        self, name: str, function: Callable, batch: list[tuple]
    ) -> list[Any]:
        """Do the first call of a batch here, the others elsewhere."""
        here, *elsewhere = batch
        ranks = range(1, len(batch))
        for rank, args in zip(ranks, elsewhere, strict=True):
            self._ask(rank, name, args)
        try:
            first = function(*here)
        except Exception:
            self._collect(ranks)  # for the next call they must be free
            raise
        except BaseException:
            self.ready = False
            raise
        return [first, *self._collect(ranks)]

    def _collect(self, ranks: Iterable[int]) -> list[Any]:
        """Receive the answers of all, then raise the first error."""
        answers, errors = [], []
        for rank in ranks:
            try:
                answers.append(self._answer(rank))
            except LostProcessError:
                raise
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return answers

    def _ask(self, rank: int, name: str, args: tuple) -> None:
        self._exchange(rank, lambda: send((name, args), rank))

    def _answer(self, rank: int) -> Any:
        good, value = self._exchange(rank, lambda: receive(rank))
        if not good:
            raise value
        return value

    def _exchange(self, rank: int, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except RuntimeError as error:  # of gloo
            self.ready = False
            time.sleep(SIGNALS)  # the same Ctrl-C may be on its way to here
            raise LostProcessError(
                f'process {rank} of {self.size} has ended'
            ) from error
        except BaseException:
            self.ready = False
            raise


def spread_over(team: Team | None, name: str) -> Spread:
    """Return what takes the place of `map`; `map` itself without a team.

    Args:
        team: the other processes.
        name: of the helper's call.
    """
    return map if team is None else team.spread(name)


def serve(calls: Calls) -> None:
    """Answer the leader's calls until it sends this process home.

    Args:
        calls: does the call of a name with arguments; its errors are raised
            in the leader.

    Raises:
        RuntimeError: the leader has ended.
    """
    send((True, None), 0)
    while True:
        name, args = receive(0)
        if not name:
            return
        try:
            answer = True, calls(name, args)
        except Exception as error:
            answer = False, sendable(error)
        send(answer, 0)


def excuse(error: Exception) -> None:
    """Tell the leader why this process cannot serve."""
    send((False, sendable(error)), 0)


def sendable(error: Exception) -> Exception:
    """Return an error that can be raised in another process."""
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:  # the constructor may need what is not in `args`
        return RuntimeError(f'{type(error).__name__}: {error}')


def send(message: object, rank: int) -> None:
    """Send an object to a process, which must call `receive`.

    Args:
        message: can be pickled; its tensors arrive on the CPU.
        rank: of the process.
    """
    buffer = BytesIO()
    _Pickler(buffer, protocol=5).dump(message)
    data = torch.frombuffer(buffer.getbuffer(), dtype=torch.uint8)
    dist.send(torch.tensor([len(data)]), rank)
    dist.send(data, rank)


def receive(rank: int) -> Any:
    """Receive what a process sends."""
    length = torch.empty(1, dtype=torch.int64)
    dist.recv(length, rank)
    data = torch.empty(int(length), dtype=torch.uint8)
    dist.recv(data, rank)
    return pickle.loads(data.numpy().data)


class _Pickler(pickle.Pickler):
    """Pickles a tensor as its own numbers, not those it is a view of.

    The order in memory is kept: sums along other strides can round
    differently.
    """

    def reducer_override(self, obj: object) -> Any:
        if not isinstance(obj, Tensor):
            return NotImplemented
        dense = torch.empty_like(obj, device='cpu').copy_(obj)
        flat = dense.as_strided((dense.numel(),), (1,)).view(torch.uint8)
        form = dense.dtype, tuple(dense.shape), dense.stride()
        return _unpickle, (flat.numpy(), *form)


def _unpickle(
    data: Any, dtype: torch.dtype, shape: tuple, strides: tuple
) -> Tensor:
    flat = torch.from_numpy(data).view(dtype)
    return flat.as_strided(shape, strides)
