"""`JobQueue`: does the tasks of jobs, one at a time."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from subprocess import Popen
from typing import Any

from star.app.choice import (
    PLANNED,
    PREVIEWED,
    RESTORE,
    Choice,
    task_words,
)
from star.app.judging import judge
from star.app.processes import (
    Follower,
    ProcessFiles,
    interrupt,
    is_alive,
    read_answer,
    spawn,
)
from star.app.records import (
    DONE,
    FAILED,
    NEW,
    PAUSED,
    QUEUED,
    REMOVED,
    RUNNING,
    STOPPED,
    JobRecord,
    JobStore,
)
from star.utils.text import one_line

_TICK = 0.2  # seconds between two looks
_PATIENCE = 60  # seconds until a process that was asked to end is killed
IDLE = (NEW, PAUSED, STOPPED, FAILED)  # states in which a job may begin
_CHOOSING = (NEW, FAILED)  # states in which its options may change


@dataclass(frozen=True)
class View:
    """The state of a running process, for the page.

    Args:
        progress: its newest event.
        notes: a sentence each.
    """

    progress: Mapping[str, Any]
    notes: tuple[str, ...] = ()


class JobQueue:
    """Runs one process at a time, in the order in which jobs were queued.

    Args:
        store: of the jobs.
        finished: called with each job that has ended.
    """

    def __init__(
        self,
        store: JobStore,
        finished: Callable[[JobRecord], None] = lambda job: None,
    ) -> None:
        self.store = store
        self._finished = finished
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._followers: dict[str, Follower] = {}

    def start(self) -> None:
        """Begin; jobs that an earlier server was doing come first."""
        self._thread.start()

    def close(self) -> None:
        """Interrupt the process, which goes on with the next server."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def submit(
        self, id_: str, task: str, choice: Choice | None = None
    ) -> None:
        """Queue a task of a job.

        Args:
            id_: of the job.
            task: 'restore', 'preview' or 'plan'.
            choice: new options, which count unless some of the job is done;
                None for those that it has.
        """

        def change(job: JobRecord) -> JobRecord:
            if job.state not in IDLE:
                return job
            chosen = job.choice
            if choice is not None and job.state in _CHOOSING:
                chosen = choice
            before = NEW if job.state == FAILED else job.state
            return replace(
                job,
                choice=chosen,
                state=QUEUED,
                task=task,
                before=before,
                wanted='',
                queued=time.time(),
                message='',
            )

        self.store.change(id_, change)

    def pause(self, id_: str) -> None:
        """Let a job wait until `submit`."""
        self._end(id_, PAUSED)

    def stop(self, id_: str) -> None:
        """End a job; what it has done is kept."""
        self._end(id_, STOPPED)

    def remove(self, id_: str) -> None:
        """Remove a job with its files; one that runs is ended first."""
        job = self._end(id_, REMOVED)
        if job is not None and job.state != RUNNING:
            self.store.remove(id_)

    def view(self, id_: str) -> View:
        """Return what is known of the process of a job."""
        found = self._followers.get(id_)
        if found is None:
            return View({})
        return View(found.progress, tuple(found.notes))

    def _end(self, id_: str, state: str) -> JobRecord | None:
        def change(job: JobRecord) -> JobRecord:
            if job.state == RUNNING:
                return replace(job, wanted=state)
            if job.state == QUEUED and state != REMOVED:
                # only a restoration can be paused
                rest = state if job.task == RESTORE else job.before
                return replace(job, state=rest)
            if job.state == PAUSED and state == STOPPED:
                return replace(job, state=STOPPED)
            return job

        return self.store.change(id_, change)

    def _run(self) -> None:
        while not self._over.is_set():
            job = self._next()
            if job is None:
                self._over.wait(_TICK)
                continue
            try:
                self._work(job)
            except Exception as error:  # such as a full disk; the next may do
                self._settle(job.id, FAILED, one_line(error))
            self._followers.pop(job.id, None)

    def _next(self) -> JobRecord | None:
        """Return the job that was running, or the first of the queue."""
        jobs = self.store.list_jobs()
        waiting = [job for job in jobs if job.state in (RUNNING, QUEUED)]
        return min(
            waiting,
            key=lambda job: (job.state != RUNNING, job.queued),
            default=None,
        )

    def _work(self, job: JobRecord) -> None:
        files = ProcessFiles(
            *(self.store.process_file(job, s) for s in ('lock', 'log', 'out'))
        )
        follower = Follower(files.log)
        self._followers[job.id] = follower
        adopted = is_alive(files)  # of a server that was killed
        if adopted and not self._follow(job, follower, files, None):
            return
        known = self.store.change(job.id, _begin)
        if known is None or known.wanted:
            self._settle(job.id, known.wanted if known else REMOVED)
            return
        src, dst = self.store.source(job), self.store.target(job)
        process = spawn(task_words(job.task, src, dst, job.choice), files)
        self.store.change(job.id, lambda j: replace(j, pid=process.pid))
        self._followers[job.id] = follower = Follower(files.log)
        if self._follow(job, follower, files, process):
            self._conclude(job.id, files, follower, process.returncode)

    def _follow(
        self,
        job: JobRecord,
        follower: Follower,
        files: ProcessFiles,
        process: Popen | None,
    ) -> bool:
        """Follow a process to its end.

        Args:
            job: that it works for.
            follower: of its log.
            files: of the process.
            process: None for that of an earlier server.

        Returns:
            Whether the server goes on as well.
        """
        asked: float | None = None
        while is_alive(files) if process is None else process.poll() is None:
            follower.update()
            now = self.store.find(job.id)
            pid = process.pid if process else now and now.pid
            over = self._over.is_set()
            if over and process is None:
                return False  # it goes on alone
            unwanted = over or now is None or bool(now.wanted)
            if pid and unwanted and asked is None:
                interrupt(pid)
                asked = time.monotonic()
            if process and asked and time.monotonic() > asked + _PATIENCE:
                process.kill()  # nothing is lost
            time.sleep(_TICK)
        follower.update()
        return not self._over.is_set()

    def _conclude(
        self, id_: str, files: ProcessFiles, follower: Follower, code: int
    ) -> None:
        """Write into the record how a process has ended."""
        answer = read_answer(files.out)
        job = self.store.find(id_)
        if job is None:
            return
        reason = judge(job.task, answer, follower.error, code)
        if job.wanted == REMOVED or (job.wanted and reason):
            self._settle(id_, job.wanted)
            return
        if reason:
            self._settle(id_, FAILED, self._private(reason, job))
            return
        self.store.change(id_, lambda j: _with_answer(j, answer))
        self._settle(id_, DONE if job.task == RESTORE else job.before)

    def _settle(self, id_: str, state: str, message: str = '') -> None:
        if state == REMOVED:
            self.store.remove(id_)
            return

        def change(job: JobRecord) -> JobRecord:
            rest = state
            if job.wanted and job.task != RESTORE:
                rest = job.before  # a plan that was stopped
            return replace(
                job, state=rest, wanted='', pid=None, message=message
            )

        job = self.store.change(id_, change)
        if job is not None:
            with suppress(Exception):  # it ends no queue
                self._finished(job)

    def _private(self, text: str, job: JobRecord) -> str:
        """Name a job's files as its user does."""
        for path in (self.store.source(job), self.store.target(job)):
            text = text.replace(str(path), job.name)
        return text


def _begin(job: JobRecord) -> JobRecord:
    return replace(job, state=RUNNING, pid=None)


def _with_answer(job: JobRecord, answer: Mapping[str, Any]) -> JobRecord:
    if job.task == PLANNED:
        return replace(job, plan=answer)
    if job.task == PREVIEWED:
        return replace(job, preview=answer)
    return replace(job, report=answer)
