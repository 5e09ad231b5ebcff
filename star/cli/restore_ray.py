"""`star restore --ray`: the clips are shared among workers of a cluster."""

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import ModuleType

from star.apis.cluster.actors import ActorPool, Share, share_cluster
from star.apis.cluster.connection import connected
from star.apis.cluster.scheduling import Event, NoWorkerError, Scheduler
from star.apis.inference.batch import Job, Plan
from star.apis.inference.piecewise import StoppedError
from star.apis.inference.scenes import SceneRange
from star.cli.cluster import describe_share, place_of, tell_start
from star.cli.common import INCOMPLETE, STOPPED, say
from star.cli.progress import ProgressBar
from star.cli.progress_lines import ProgressLines
from star.cli.prompts import find_prompts
from star.cli.restore import exit_code, unfinished
from star.cli.restore_clip import Terminal, failure
from star.cli.restore_results import Result, not_begun, print_results
from star.cli.restore_worker import ClipTask, RestoreWorker, Seen, Stopped
from star.utils.signals import ignore_interrupts
from star.video.info import VideoError
from star.video.probing import probe

_LEAST_FRAMES = 48  # of a worker's share of a clip
_RANGES = 2  # of scenes for each worker
_PATIENCE = 5.0  # seconds until a result of another machine is seen here


def run(planned: Plan, args: argparse.Namespace) -> int:
    """Restore all clips and return the exit code.

    Args:
        planned: what is to be done.
        args: options of the command.
    """
    check_options(planned, args)
    work = SharedWork(planned.jobs, args)
    try:
        tell_start(args.ray)
        with connected(args.ray) as ray:
            work.run(ray)
    except (KeyboardInterrupt, NoWorkerError) as reason:
        if isinstance(reason, NoWorkerError):
            if not work.began:  # nobody could begin: a wrong option
                raise
            say(f'error: {reason}')
        with ignore_interrupts():
            print_results(work.all_results(reason), planned, args, True)
        if isinstance(reason, KeyboardInterrupt):
            raise
        return INCOMPLETE
    results = work.all_results()
    print_results(results, planned, args, bool(work.stopped))
    return STOPPED if work.stopped else exit_code(results)


def check_options(planned: Plan, args: argparse.Namespace) -> None:
    """Refuse what works in one process only, and prompts that are missing.

    Raises:
        ValueError: naming the option.
    """
    for name in ('gpus', 'preview'):
        if getattr(args, name) is not None:
            raise ValueError(f'give --{name} or --ray, not both')
    if args.prompt_file is not None:
        if args.prompt is not None:
            raise ValueError('give --prompt or --prompt-file, not both')
        find_prompts(args.prompt_file, planned.jobs)


class SharedWork:
    """The clips of a command, and what became of each.

    Args:
        jobs: of the clips.
        args: options of the command.

    Attributes:
        began: whether a worker has begun a clip.
        stopped: why some clips were stopped; '' if none was.
    """

    def __init__(self, jobs: list[Job], args: argparse.Namespace) -> None:
        self.jobs, self.args = jobs, args
        self.results: dict[int, Result] = {}
        self.running: set[int] = set()
        self.began, self.stopped = False, ''
        self._terminal = Terminal(args.progress == 'json')
        self._frames = Frames(jobs, args.frames)
        self._bar: ProgressBar | ProgressLines | None = None
        self._parts: dict[int, int] = {}  # of clips that are divided

    def run(self, ray: ModuleType) -> None:
        """Restore the clips with workers of a cluster.

        Raises:
            NoWorkerError: no worker can work.
            ValueError: the cluster is too small for a worker.
        """
        share = share_cluster(ray, self.args.ray_cpus, self.args.device)
        tasks = self._tasks(share.count)
        count = min(share.count, sum(max(1, t.parts) for t in tasks))
        name = f'{len(self.jobs)} clips'
        if len(self.jobs) == 1:
            name = self.jobs[0].src.name
        self.say(describe_share(share, count))
        pool = make_pool(ray, share, self.jobs, self.args)
        scheduler = Scheduler(pool, count, tasks)
        with self._terminal.bar(name) as self._bar:
            for event in scheduler.run():
                self._take(event)
                for task in self._next_tasks(event):
                    scheduler.add(task)
                if self.stopped:
                    scheduler.waiting.clear()

    def say(self, text: str) -> None:
        """Print a message, above the progress if there is any."""
        tell = self._bar.say if isinstance(self._bar, ProgressBar) else say
        tell(text)

    def bar(self, name: str) -> ProgressBar | ProgressLines:
        """Return what shows the progress of a clip."""
        return self._terminal.bar(name)

    def all_results(self, reason: BaseException | None = None) -> list[Result]:
        """Return the results of all clips, in order.

        Args:
            reason: that ended the work before all was done.
        """
        why = self.stopped or (
            'interrupted' if isinstance(reason, KeyboardInterrupt) else ''
        )
        why = why or str(reason)
        for i, job in enumerate(self.jobs):
            if i in self.results:
                continue
            (self.results[i],) = (
                unfinished([job], reason or StoppedError(why))
                if i in self.running
                else not_begun([job], why)
            )
        return [self.results[i] for i in range(len(self.jobs))]

    def _take(self, event: Event) -> None:
        """Take notice of what happened to a clip."""
        if event.kind == 'refused':
            self.say(f'note: a worker cannot work: {event.reason}')
            return
        number, job = event.task.number, event.task.job
        parted = event.task.parts or event.task.scenes
        self.began = True
        self.running.add(number)
        if event.kind == 'told':
            for line in event.told.lines:
                self.say(line)
            self._show(event.task, event.told.done)
        elif event.kind == 'again':
            self.say(
                f'note: {job.src.name}: its worker was lost ({event.reason}); '
                'another one goes on'
            )
        elif parted:
            self._end_part(event)
        elif event.kind == 'gone':
            text = f'{job.src}: several workers were lost with it'
            error = OSError(f'{text} ({event.reason})')
            self._finish(number, failure(job, error, self))
        else:
            self._done(number, event)

    def _done(self, number: int, event: Event) -> None:
        """Take the result of a clip."""
        job, answer = self.jobs[number], event.answer
        if answer.error:  # a defect, for what a clip lacks is its result
            defect = RuntimeError(f'{answer.kind}: {answer.error}')
            self._finish(number, failure(job, defect, self))
        elif isinstance(answer.value, Stopped):
            self.stopped = answer.value.why
        elif 'error' not in answer.value and not is_seen(job.dst):
            error = OSError(
                f'{job.dst}: a worker wrote it, and it is not seen here; '
                '--ray needs a file system that all machines see'
            )
            self._finish(number, failure(job, error, self))
        else:
            self._finish(number, answer.value)

    def _finish(self, number: int, result: Result) -> None:
        self.results[number] = result
        self.running.discard(number)
        self._show(
            ClipTask(number, self.jobs[number]), self._frames.each[number]
        )

    def _tasks(self, workers: int) -> list[ClipTask]:
        """Return the first tasks: the last clips are divided at scenes.

        They are divided where there are fewer of them than workers, so that
        none is without work.
        """
        tasks = []
        for i, job in enumerate(self.jobs):
            parts = (self._frames.each[i] or 0) // _LEAST_FRAMES
            parts = min(parts, _RANGES * workers)
            few = len(self.jobs) - i < workers
            tasks.append(ClipTask(i, job, parts if few and parts > 1 else 0))
        return tasks

    def _next_tasks(self, event: Event) -> list[ClipTask]:
        """Return what can be done now that a part of a clip is over."""
        task, found = event.task, []
        if event.kind not in ('done', 'gone') or self.stopped:
            return []
        if not (task.parts or task.scenes):
            return []
        if task.parts and isinstance(event.answer.value, list):
            found = event.answer.value
        left = self._parts.get(task.number, 1) - 1 + len(found)
        self._parts[task.number] = left
        return found if left else [ClipTask(task.number, task.job)]

    def _end_part(self, event: Event) -> None:
        """Take notice that the plan of a clip, or some scenes, are over.

        What is wrong with them is the error of the clip as a whole.
        """
        if isinstance(event.answer.value, Stopped):
            self.stopped = event.answer.value.why
        elif event.kind == 'done':
            self._frames.end(event.task)

    def _show(self, task: ClipTask, done: int | None) -> None:
        if done is None or self._bar is None:
            return
        self._frames.take(task, done)
        self._bar.progress('decode', *self._frames.sums())


class Frames:
    """Counts the frames of all clips.

    Args:
        jobs: of the clips.
        most: frames of each clip that are restored; None for all.
    """

    def __init__(self, jobs: list[Job], most: int | None) -> None:
        self.each = [count_frames(job.src, most) for job in jobs]
        self._done: list[dict[SceneRange | None, int]] = [{} for _ in jobs]

    def take(self, task: ClipTask, done: int) -> None:
        """Take notice of how many frames of a task are done."""
        known = self._done[task.number]
        known[task.scenes] = max(done, known.get(task.scenes, 0))

    def end(self, task: ClipTask) -> None:
        """Take notice that all frames of some scenes are done."""
        if task.scenes is not None:
            self.take(task, task.scenes.end - task.scenes.first)

    def sums(self) -> tuple[int, int | None]:
        """Return how many are done, and of how many; None if unknown."""
        known = [count for count in self.each if count is not None]
        whole = len(known) == len(self.each)
        done = [
            max(each.get(None, 0), sum(each.values()) - each.get(None, 0))
            for each in self._done
        ]
        return sum(done), sum(known) if whole else None


def count_frames(src: Path, most: int | None) -> int | None:
    """Return how many frames a container names; 0 if it cannot be read."""
    try:
        count = probe(src).num_frames
    except VideoError:
        return 0
    return count if count is None or most is None else min(count, most)


def is_seen(dst: Path) -> bool:
    """Return whether a result is here, or comes in a short time."""
    end = time.monotonic() + _PATIENCE
    while not dst.exists():
        if time.monotonic() > end:
            return False
        with suppress(OSError):
            os.listdir(dst.parent)  # a network's file system looks again
        time.sleep(0.2)
    return True


def make_pool(
    ray: ModuleType, share: Share, jobs: list[Job], args: argparse.Namespace
) -> ActorPool:
    """Return the workers, which are not yet started."""
    place = place_of(share, args.keep_memory)
    seen = list(find_seen(jobs[0]))
    workers = {} if share.gpus else share.workers
    make = partial(RestoreWorker, args, seen, workers)
    return ActorPool(ray, share, place, make)


def find_seen(job: Job) -> Iterator[Seen]:
    """Yield what all machines must see, for a clip and its result."""
    file = job.src.is_file()
    yield Seen(job.src, job.src.stat().st_size if file else None)
    folder = job.dst.parent
    while not folder.exists():
        folder = folder.parent
    yield Seen(folder)
