"""`ActorPool`: workers that are actors of a Ray cluster."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from star.apis.cluster.host import Host, Worker, WorkerPlace
from star.apis.cluster.mailbox import Mailbox
from star.apis.cluster.scheduling import News
from star.utils.compat import require

_PAUSE = 0.3  # seconds between two looks at the workers
_GRACE = 10.0  # seconds in which a stopped task may end by itself


@dataclass(frozen=True)
class Share:
    """Each worker's share of a cluster.

    Args:
        count: number of workers.
        cpus: cores of each.
        gpus: of each, 0 or 1.
        workers: that share a node, by the node's name.
    """

    count: int
    cpus: int
    gpus: int
    workers: dict[str, int]


def share_cluster(
    ray: ModuleType, cpus: int | None, device: str | None
) -> Share:
    """Divide a cluster: a worker for each GPU, or for some cores.

    Args:
        ray: connected.
        cpus: cores of a worker; None for 1, or beside GPUs for all that there
            are.
        device: that the user wants; None for GPUs if there are any.

    Raises:
        ValueError: the cluster has too little for one worker, or the device
            is one GPU.
    """
    nodes = [n['Resources'] for n in ray.nodes() if n['Alive']]
    kind, _, index = (device or 'cuda').partition(':')
    if kind == 'cuda' and index:
        raise ValueError(
            f'--device {device} is one GPU: give cuda, and each worker takes '
            'one'
        )
    if kind == 'cuda' and any(node.get('GPU', 0) >= 1 for node in nodes):
        return _by_gpus(nodes, cpus)
    if device is not None and kind == 'cuda':
        raise ValueError(f'--device {device}: the cluster has no GPU')
    each = cpus or 1
    workers = {_name(n): int(n.get('CPU', 0)) // each for n in nodes}
    if not sum(workers.values()):
        most = max((int(node.get('CPU', 0)) for node in nodes), default=0)
        raise ValueError(
            f'--ray-cpus {each}: no machine of the cluster has so many, the '
            f'largest has {most}'
        )
    return Share(sum(workers.values()), each, 0, workers)


def _by_gpus(nodes: list[dict[str, float]], cpus: int | None) -> Share:
    workers = {_name(n): int(n.get('GPU', 0)) for n in nodes}
    free = [
        int(n.get('CPU', 0)) // workers[_name(n)]
        for n in nodes
        if workers[_name(n)]
    ]
    return Share(sum(workers.values()), cpus or max(1, min(free)), 1, workers)


def _name(node: dict[str, float]) -> str:
    """Return the name of a node, as Ray's own resource has it."""
    names = [key for key in node if key.startswith('node:')]
    return next((n for n in names if '__' not in n), '').removeprefix('node:')


def count_neighbours(workers: dict[str, int]) -> int:
    """Return how many workers share the machine of this one, itself included.

    Args:
        workers: as a `Share` has them.
    """
    ray = require('ray', 'ray')
    return max(1, workers.get(ray.util.get_node_ip_address(), 1))


class ActorPool:
    """Starts actors, and hears what they tell.

    Args:
        ray: connected.
        share: of each actor.
        place: of each actor.
        make: makes the worker there.
    """

    def __init__(
        self,
        ray: ModuleType,
        share: Share,
        place: WorkerPlace,
        make: Callable[[Mailbox], Worker],
    ) -> None:
        self._ray, self._place, self._make = ray, place, make
        self._class = ray.remote(
            num_cpus=share.cpus,
            num_gpus=share.gpus,
            max_restarts=0,
            max_concurrency=2,  # one works, one is heard
        )(Host)
        self._count = 0
        self._hosts: dict[int, Any] = {}
        self._works: dict[Any, tuple[int, bool]] = {}  # and whether it starts
        self._hears: dict[Any, int] = {}
        self._heard = 0.0  # when they were asked last

    def start(self) -> int:
        """Start an actor; it waits where the cluster is full."""
        self._count += 1
        host = self._class.remote(self._place)
        self._hosts[self._count] = host
        self._works[host.start.remote(self._make)] = self._count, True
        return self._count

    def give(self, worker: int, task: Any) -> None:
        """Let an actor do a task."""
        ref = self._hosts[worker].work.remote(task)
        self._works[ref] = worker, False

    def wait(self) -> list[News]:
        """Return news, after a short time at the latest."""
        refs = list(self._works)
        ready, _ = self._ray.wait(refs, num_returns=1, timeout=_PAUSE)
        reports = self._hear()
        return [*reports, *(r for ref in ready for r in self._collect(ref))]

    def stop(self) -> None:
        """Stop the tasks, wait for them for a short time, end all actors."""
        refs = [r for r, (_, starts) in self._works.items() if not starts]
        busy = [self._works[ref][0] for ref in refs]
        with suppress(Exception):  # whatever is lost already
            for worker in busy:
                self._hosts[worker].stop.remote()
            self._ray.wait(refs, num_returns=len(refs), timeout=_GRACE)
        for worker in list(self._hosts):
            self._end(worker)

    def _collect(self, ref: Any) -> list[News]:
        """Return what became of a start or a task, after its last words."""
        worker, starts = self._works.pop(ref)
        try:
            answer = self._ray.get(ref)
            told = self._ray.get(self._hosts[worker].hear.remote())
        except Exception as error:  # of Ray: the actor, or its machine, died
            self._end(worker)
            return [News(worker, 'lost', reason=_reason(error))]
        kind = 'started' if starts else 'done'
        return [
            News(worker, 'told', told=told),
            News(worker, kind, answer),  # type: ignore[arg-type]
        ]

    def _hear(self) -> list[News]:
        """Collect what actors have told, and ask them again."""
        reports = []
        for ref in (
            self._ray.wait(
                list(self._hears), num_returns=len(self._hears), timeout=0
            )[0]
            if self._hears
            else ()
        ):
            worker = self._hears.pop(ref)
            with suppress(Exception):  # its task says that it was lost
                told = self._ray.get(ref)
                reports.append(News(worker, 'told', told=told))
        now = time.monotonic()
        if now - self._heard >= _PAUSE:
            self._heard = now
            asked = set(self._hears.values())
            for worker, starts in self._works.values():
                if not starts and worker not in asked:
                    self._hears[self._hosts[worker].hear.remote()] = worker
        return reports

    def _end(self, worker: int) -> None:
        with suppress(Exception):
            self._ray.kill(self._hosts.pop(worker))


def _reason(error: Exception) -> str:
    """Return the first sentence of Ray's error, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = [line for line in lines if line.startswith('Worker exit detail')]
    line = (cause or lines or [type(error).__name__])[0]
    return line.removeprefix('Worker exit detail: ').partition('. ')[0]
