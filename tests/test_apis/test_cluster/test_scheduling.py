"""Tasks go to free workers, and to others where a worker was lost."""

from collections import Counter

import pytest

from star.apis.cluster.host import Answer
from star.apis.cluster.scheduling import NoWorkerError, Scheduler
from tests.test_apis.test_cluster.pools import LostError, PlannedPool


def test_each_task_is_done_once_by_the_worker_that_is_free() -> None:
    pool = PlannedPool(lambda task: task * 10)
    scheduler = Scheduler(pool, 2, range(5))
    events = list(scheduler.run())
    done = {e.task: e.answer.value for e in events if e.kind == 'done'}
    assert done == {i: 10 * i for i in range(5)}
    assert [task for _, task in pool.given] == list(range(5))
    assert Counter(worker for worker, _ in pool.given) == {1: 3, 2: 2}
    told = [e.told.lines for e in events if e.told.lines]
    assert told == [(f'begin {i}',) for i in range(5)]
    assert pool.stopped


def test_a_lost_worker_is_replaced_and_its_task_is_next() -> None:
    lost = [1, 1]

    def work(task: int) -> int:
        if task in lost:
            lost.remove(task)
            raise LostError('killed')
        return task

    pool = PlannedPool(work)
    events = list(Scheduler(pool, 1, range(3)).run())
    kinds = [(e.kind, e.task) for e in events if e.kind != 'told']
    assert kinds == [
        ('done', 0),
        ('again', 1),
        ('again', 1),
        ('done', 1),
        ('done', 2),
    ]
    again = next(e for e in events if e.kind == 'again')
    assert again.reason == 'killed'
    assert [worker for worker, _ in pool.given] == [1, 1, 2, 3, 3]


def test_a_task_that_costs_three_workers_is_given_up() -> None:
    def work(task: int) -> int:
        if task == 0:
            raise LostError('killed')
        return task

    pool = PlannedPool(work)
    events = list(Scheduler(pool, 2, range(3)).run())
    kinds = Counter(e.kind for e in events if e.task == 0)
    assert kinds == {'told': 3, 'again': 2, 'gone': 1}
    done = [e.task for e in events if e.kind == 'done']
    assert sorted(done) == [1, 2]


def test_tasks_can_be_added_and_dropped_on_the_way() -> None:
    pool = PlannedPool(lambda task: task)
    scheduler, done = Scheduler(pool, 2, [0]), []
    for event in scheduler.run():
        if event.kind == 'done':
            done.append(event.task)
            if event.task == 0:
                scheduler.add(1)
                scheduler.add(2)
            else:
                scheduler.waiting.clear()
    assert done == [0, 1] or done == [0, 1, 2]
    assert scheduler.running() == []


def test_others_work_where_one_cannot() -> None:
    refusal = Answer(error='no weights', kind='ValueError')
    pool = PlannedPool(lambda task: task, [refusal])
    events = list(Scheduler(pool, 2, range(3)).run())
    assert {worker for worker, _ in pool.given} == {2}
    assert [e.reason for e in events if e.kind == 'refused'] in (
        [],
        ['no weights'],
    )


@pytest.mark.parametrize(
    ('starts', 'message', 'begun'),
    [
        ([Answer(error='no weights')] * 2, 'no weights', 2),
        ([LostError] * 9, 'a worker ends before it can work: no memory', 4),
    ],
)
def test_nobody_can_work(starts: list, message: str, begun: int) -> None:
    pool = PlannedPool(lambda task: task, starts)
    with pytest.raises(NoWorkerError, match=message):
        list(Scheduler(pool, 2, range(3)).run())
    assert (pool.count, pool.given, pool.stopped) == (begun, [], True)


def test_the_pool_is_stopped_after_ctrl_c() -> None:
    def work(task: int) -> int:
        raise KeyboardInterrupt

    pool = PlannedPool(work)
    with pytest.raises(KeyboardInterrupt):
        list(Scheduler(pool, 2, range(3)).run())
    assert pool.stopped
