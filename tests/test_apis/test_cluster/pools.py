"""A pool of workers without processes, whose losses are planned."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from star.apis.cluster.host import Answer
from star.apis.cluster.mailbox import Told
from star.apis.cluster.scheduling import News


class PlannedPool:
    """Does one task of one worker at each call of `wait`.

    Args:
        work: what workers do; it may raise `LostError` or KeyboardInterrupt.
        hear: returns the last words of a task.
        starts: answers of the workers' starts, in order, or LostError; those
            after them start well.
    """

    def __init__(
        self,
        work: Callable[[Any], Any],
        starts: Sequence[Answer | type[Exception]] = (),
        hear: Callable[[], Told] = Told,
    ) -> None:
        self._work, self._starts = work, list(starts)
        self._hear = hear
        self._queue: deque[tuple[int, Any]] = deque()
        self.given: list[tuple[int, Any]] = []
        self.count, self.stopped = 0, False

    def start(self) -> int:
        self.count += 1
        planned = self._starts[self.count - 1 : self.count]
        self._queue.append((self.count, planned[0] if planned else Answer()))
        return self.count

    def give(self, worker: int, task: Any) -> None:
        self.given.append((worker, task))
        self._queue.append((worker, task))

    def wait(self) -> list[News]:
        worker, task = self._queue.popleft()
        if isinstance(task, Answer):
            return [News(worker, 'started', task)]
        if task is LostError:
            return [News(worker, 'lost', reason='no memory')]
        told = News(worker, 'told', told=Told((f'begin {task}',)))
        try:
            answer = Answer(self._work(task))
        except LostError as error:
            return [told, News(worker, 'lost', reason=str(error))]
        last = News(worker, 'told', told=self._hear())
        return [told, last, News(worker, 'done', answer)]

    def stop(self) -> None:
        self.stopped = True


class LostError(Exception):
    """Ends a worker."""
