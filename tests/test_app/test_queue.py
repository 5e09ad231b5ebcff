"""The queue: one process at a time, pause, stop, remove, restart."""

import os
from dataclasses import replace

import pytest

from star.app.choice import Choice
from star.app.processes import ProcessFiles, is_alive, spawn
from star.app.queue import JobQueue
from star.app.records import (
    DONE,
    FAILED,
    NEW,
    PAUSED,
    QUEUED,
    RUNNING,
    STOPPED,
    JobStore,
)
from tests.test_app.conftest import wait_for

LONG = Choice(prompt='sleep=30')


def runs(store: JobStore) -> list[str]:
    path = store.folder / 'runs'
    return path.read_text().split('\n')[:-1] if path.is_file() else []


def state(store: JobStore, id_: str) -> str:
    job = store.find(id_)
    return job.state if job else 'gone'


def test_jobs_run_one_after_the_other(store, add, queue):
    first, second = add('a.mp4'), add('b.mp4')
    queue.submit(second.id, 'restore', Choice(prompt='sleep=0.2'))
    queue.submit(first.id, 'restore', Choice())
    queue.start()
    wait_for(lambda: state(store, first.id) == DONE)
    assert runs(store) == ['start b.mp4', 'end ', 'start a.mp4', 'end ']
    found = store.find(second.id)
    assert (found.state, found.report['frames']) == (DONE, 2)
    assert store.target(found).read_text() == str(store.source(found))


def test_progress_and_notes_are_seen_while_it_runs(store, add, queue):
    job = add()
    queue.submit(job.id, 'restore', LONG)
    queue.start()
    wait_for(lambda: queue.view(job.id).progress)
    view = queue.view(job.id)
    assert (view.progress['share'], view.notes) == (0.5, ('a note',))
    queue.remove(job.id)
    wait_for(lambda: store.find(job.id) is None)
    wait_for(lambda: not store.source(job).exists())
    assert runs(store) == ['start a.mp4', 'end ']


@pytest.mark.parametrize(
    ('act', 'rest'), [('pause', PAUSED), ('stop', STOPPED)]
)
def test_a_job_waits_until_it_is_continued(store, add, queue, act, rest):
    job = add()
    queue.submit(job.id, 'restore', LONG)
    queue.start()
    wait_for(lambda: queue.view(job.id).progress)
    getattr(queue, act)(job.id)
    wait_for(lambda: state(store, job.id) == rest)
    # options are fixed once some of it is done
    queue.submit(job.id, 'restore', Choice(scale='3'))
    assert store.find(job.id).choice == LONG
    wait_for(lambda: len(runs(store)) == 3)  # it has begun again
    queue.stop(job.id)
    wait_for(lambda: state(store, job.id) == STOPPED)


def test_a_queued_job_is_paused_at_once(store, add, queue):
    job = add()
    queue.submit(job.id, 'restore', Choice())
    queue.pause(job.id)
    assert state(store, job.id) == PAUSED
    queue.stop(job.id)
    assert state(store, job.id) == STOPPED
    assert runs(store) == []


def test_a_plan_leaves_the_job_as_it_was(store, add, queue):
    job = add()
    queue.submit(job.id, 'plan', Choice(scale='2'))
    queue.start()
    wait_for(lambda: store.find(job.id).plan)
    wait_for(lambda: state(store, job.id) == NEW)
    assert store.find(job.id).plan['frames'] == 2
    assert not store.target(job).exists()


@pytest.mark.parametrize(
    ('orders', 'message'),
    [('error=no space left', 'no space left'), ('kill=1', 'lack of memory')],
)
def test_a_failure_has_a_line_and_the_next_job_runs(
    store, add, queue, orders, message
):
    bad, good = add('bad.mp4'), add('good.mp4')
    queue.submit(bad.id, 'restore', Choice(prompt=orders))
    queue.submit(good.id, 'restore', Choice())
    queue.start()
    wait_for(lambda: state(store, good.id) == DONE)
    found = store.find(bad.id)
    assert found.state == FAILED
    assert message in found.message
    assert '\n' not in found.message


def test_a_server_that_ends_goes_on_with_the_next(store, add, queue):
    job = add()
    queue.submit(job.id, 'restore', LONG)
    queue.start()
    wait_for(lambda: queue.view(job.id).progress)
    queue.close()
    assert runs(store) == ['start a.mp4', 'end ']
    again = JobStore(store.folder)  # as a new server reads it
    assert state(again, job.id) == RUNNING
    again.change(job.id, lambda j: replace(j, choice=Choice()))
    later = JobQueue(again)
    later.start()
    wait_for(lambda: state(again, job.id) == DONE)
    later.close()


def test_a_process_of_a_killed_server_is_awaited(store, add, queue):
    job = add()
    files = ProcessFiles(
        *(store.process_file(job, s) for s in ('lock', 'log', 'out'))
    )
    words = [str(store.source(job)), str(store.target(job))]
    orphan = spawn(['restore', *words, '--prompt', 'sleep=1'], files)
    store.change(
        job.id,
        lambda j: replace(j, state=RUNNING, task='restore', pid=orphan.pid),
    )
    assert is_alive(files)
    queue.start()
    wait_for(lambda: queue.view(job.id).progress)  # of the orphan's log
    wait_for(lambda: orphan.poll() is not None)
    wait_for(lambda: state(store, job.id) == DONE)
    # the second run finds the result complete; never two at once
    assert runs(store) == ['start a.mp4', 'end '] * 2
    assert not is_alive(files)


def test_a_process_of_a_killed_server_can_be_paused(store, add, queue):
    job = add()
    files = ProcessFiles(
        *(store.process_file(job, s) for s in ('lock', 'log', 'out'))
    )
    words = [str(store.source(job)), str(store.target(job))]
    orphan = spawn(['restore', *words, '--prompt', 'sleep=30'], files)
    store.change(
        job.id,
        lambda j: replace(j, state=RUNNING, task='restore', pid=orphan.pid),
    )
    queue.start()
    wait_for(lambda: queue.view(job.id).progress)
    queue.pause(job.id)
    wait_for(lambda: orphan.poll() is not None)
    wait_for(lambda: state(store, job.id) == PAUSED)
    assert runs(store) == ['start a.mp4', 'end ']


def test_a_second_process_is_refused(store, add, queue):
    job = add()
    files = ProcessFiles(
        *(store.process_file(job, s) for s in ('lock', 'log', 'out'))
    )
    words = ['restore', str(store.source(job)), str(store.target(job))]
    first = spawn([*words, '--prompt', 'sleep=30'], files)
    with pytest.raises(BlockingIOError):
        spawn(words, files)
    first.kill()
    first.wait()
    assert not is_alive(files)
    assert os.path.exists(files.lock)


def test_a_job_that_waits_is_not_begun_twice(store, add, queue):
    job = add()
    queue.submit(job.id, 'restore', Choice(scale='2'))
    queue.submit(job.id, 'restore', Choice(scale='3'))
    assert state(store, job.id) == QUEUED
    assert store.find(job.id).choice == Choice(scale='2')


def test_a_process_ends_whose_job_is_gone(store, add, queue):
    job = add()
    queue.submit(job.id, 'restore', LONG)
    queue.start()
    wait_for(lambda: queue.view(job.id).progress)
    store.remove(job.id)
    wait_for(lambda: runs(store) == ['start a.mp4', 'end '])
