"""`Scheduler`: gives tasks to workers, and again where a worker was lost."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from star.apis.cluster.host import Answer
from star.apis.cluster.mailbox import Told
from star.utils.signals import hold_ctrl_c

MOST_LOSSES = 3  # workers that a task may cost, or that end at their start


@dataclass(frozen=True)
class News:
    """News of a worker.

    Args:
        worker: its number.
        kind: 'started' and 'done' have an answer; 'lost' the reason, when
            the worker has ended or cannot be reached; 'told' has messages.
        answer: of the worker's start or task.
        told: messages and progress.
        reason: of a loss.
    """

    worker: int
    kind: Literal['started', 'done', 'lost', 'told']
    answer: Answer = field(default_factory=Answer)
    told: Told = field(default_factory=Told)
    reason: str = ''


class WorkerPool(Protocol):
    """Workers in processes of their own."""

    def start(self) -> int:
        """Start a worker and return its number; 'started' is reported."""

    def give(self, worker: int, task: Any) -> None:
        """Let a worker do a task; 'done' is reported."""

    def wait(self) -> list[News]:
        """Return news, after a short time at the latest."""

    def stop(self) -> None:
        """Stop the tasks and end all workers."""


@dataclass
class Task:
    """Something to do.

    Args:
        content: that a worker receives.
        losses: workers that were lost with it.
    """

    content: Any
    losses: int = 0


@dataclass(frozen=True)
class Event:
    """The outcome of a task.

    Args:
        kind: 'done'; 'told'; 'again' where another worker takes it, 'gone'
            where too many were lost with it; 'refused' where a worker cannot
            work, which has no task.
        task: its content.
        answer: of the worker.
        told: messages and progress.
        reason: of a loss, or of the refusal.
    """

    kind: Literal['done', 'told', 'again', 'gone', 'refused']
    task: Any = None
    answer: Answer = field(default_factory=Answer)
    told: Told = field(default_factory=Told)
    reason: str = ''


class NoWorkerError(ValueError):
    """Raised where no worker can work."""


class Scheduler:
    """Gives each free worker the next task.

    Args:
        pool: of the workers.
        count: how many of them there shall be.
        contents: of the tasks.

    Attributes:
        waiting: tasks that no worker has begun; more may be added.
        free: number of workers that wait for a task.
    """

    def __init__(
        self, pool: WorkerPool, count: int, contents: Iterable[Any] = ()
    ) -> None:
        self.waiting = deque(Task(content) for content in contents)
        self._pool, self._count = pool, count
        self._starting: set[int] = set()
        self._idle: deque[int] = deque()
        self._busy: dict[int, Task] = {}
        self._failures = 0  # of workers that did not start, in a row

    def add(self, content: Any) -> None:
        """Add a task at the end."""
        self.waiting.append(Task(content))

    def running(self) -> list[Any]:
        """Return the contents of the tasks that workers do now."""
        return [task.content for task in self._busy.values()]

    def run(self) -> Iterator[Event]:
        """Yield what happens, until no task is left.

        Raises:
            NoWorkerError: no worker can work.
            KeyboardInterrupt: Ctrl-C has come.
        """
        try:
            for _ in range(self._count):
                self._starting.add(self._pool.start())
            with hold_ctrl_c() as check_ctrl_c:
                while self.waiting or self._busy:
                    self._give()
                    check_ctrl_c()
                    for report in self._pool.wait():
                        yield from self._take(report)
                    check_ctrl_c()
        finally:
            self._pool.stop()

    def _give(self) -> None:
        while self._idle and self.waiting:
            worker, task = self._idle.popleft(), self.waiting.popleft()
            self._busy[worker] = task
            self._pool.give(worker, task.content)

    def _take(self, report: News) -> Iterator[Event]:
        worker = report.worker
        task = self._busy.get(worker)
        if report.kind == 'told' and task is not None:
            yield Event('told', task.content, told=report.told)
        elif report.kind == 'started':
            yield from self._start(worker, report.answer)
        elif report.kind == 'done':
            assert task is not None
            del self._busy[worker]
            self._idle.append(worker)
            yield Event('done', task.content, report.answer)
        elif report.kind == 'lost':
            yield from self._lose(worker, report.reason)

    def _start(self, worker: int, answer: Answer) -> Iterator[Event]:
        self._starting.discard(worker)
        if not answer.error:
            self._failures = 0
            self._idle.append(worker)
            return
        self._check(answer.error)
        yield Event('refused', answer=answer, reason=answer.error)

    def _lose(self, worker: int, reason: str) -> Iterator[Event]:
        task = self._busy.pop(worker, None)
        if worker in self._starting:
            self._starting.discard(worker)
            self._failures += 1
        if worker in self._idle:
            self._idle.remove(worker)
        if self._failures < MOST_LOSSES:
            self._starting.add(self._pool.start())
        if task is not None:
            task.losses += 1
            kind: Literal['gone', 'again'] = 'gone'
            if task.losses < MOST_LOSSES:
                kind = 'again'
                self.waiting.appendleft(task)
            yield Event(kind, task.content, reason=reason)
        self._check(f'a worker ends before it can work: {reason}')

    def _check(self, reason: str) -> None:
        if not (self._starting or self._idle or self._busy):
            raise NoWorkerError(reason)
