"""`RestoreWorker`: restores clips in a worker process of a cluster."""

import argparse
import json
import socket
import time
from dataclasses import dataclass, replace
from pathlib import Path

from star.apis import FileOptions, init_model
from star.apis.cluster.actors import count_neighbours
from star.apis.cluster.mailbox import Mailbox
from star.apis.inference.batch import Job
from star.apis.inference.clip_plan import plan_clip
from star.apis.inference.journal import is_held
from star.apis.inference.piecewise import StoppedError
from star.apis.inference.savings import Savings
from star.apis.inference.scenes import SceneRange
from star.apis.inference.task import RestoreTask
from star.cli.restore_clip import (
    choose_for_each,
    given,
    memory_rules,
    restore,
)
from star.cli.restore_results import Result
from star.models.restoration.options import RestoreOptions
from star.video.io import VideoReader

_PATIENCE = 10.0  # seconds until a process that was killed lets a result go


@dataclass(frozen=True)
class ClipTask:
    """A clip, or some scenes of it, for a worker.

    Args:
        number: of the clip among all.
        job: its source and result.
        parts: divide the clip among so many workers, and restore nothing;
            0 to restore.
        scenes: that are restored; None for the whole clip.
        options: with which they are.
    """

    number: int
    job: Job
    parts: int = 0
    scenes: SceneRange | None = None
    options: RestoreOptions | None = None


@dataclass(frozen=True)
class Stopped:
    """A clip at which the time to stop came.

    Args:
        why: in a few words.
    """

    why: str


@dataclass(frozen=True)
class Seen:
    """Something that all machines must see.

    Args:
        path: of a source, or of a folder of results.
        size: bytes of a file; None for a folder.
    """

    path: Path
    size: int | None = None

    def check(self) -> None:
        """Refuse to work where it is not seen.

        Raises:
            ValueError: naming this machine.
        """
        try:
            size = self.path.stat().st_size
        except OSError:
            size = -1
        if size < 0 or self.size not in (None, size):
            raise ValueError(
                f'{self.path}: {socket.gethostname()} does not see it; --ray '
                'needs a file system that all machines see'
            )


class MailBar:
    """Passes the events of a clip on to the driver.

    Args:
        name: of the clip.
        box: of the worker.
        as_json: notes are JSON.
    """

    def __init__(self, name: str, box: Mailbox, as_json: bool) -> None:
        self.told: list[str] = []
        self._name, self._box, self._as_json = name, box, as_json

    def __enter__(self) -> 'MailBar':
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Pass on how many frames are restored.

        Raises:
            KeyboardInterrupt: the driver wants the work to stop.
        """
        if stage == 'decode':
            self._box.report(done, total)
        self._box.check()

    def note(self, text: str) -> None:
        """Pass on a note."""
        self.told.append(text)
        line = f'note: {self._name}: {text}'
        if self._as_json:
            line = json.dumps({'clip': self._name, 'note': text})
        self._box.say(line)


class SceneBar:
    """Passes the progress of some scenes on to the driver, without notes.

    Args:
        scenes: of the clip; None for its plan.
        box: of the worker.
    """

    def __init__(self, scenes: SceneRange | None, box: Mailbox) -> None:
        self._first = scenes.first if scenes else 0
        self._box = box

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Pass on how many frames of the scenes are restored.

        Raises:
            KeyboardInterrupt: the driver wants the work to stop.
        """
        if stage == 'decode' and done >= self._first:
            self._box.report(done - self._first, total)
        self._box.check()

    def note(self, text: str) -> None:
        """Leave a note to who restores the clip."""


class MailTeller:
    """Passes the messages of clips on to the driver.

    Args:
        box: of the worker.
        as_json: notes are JSON.
    """

    def __init__(self, box: Mailbox, as_json: bool) -> None:
        self._box, self._as_json = box, as_json

    def say(self, text: str) -> None:
        """Pass on a message."""
        self._box.say(text)

    def bar(self, name: str) -> MailBar:
        """Return what passes on the progress of a clip."""
        return MailBar(name, self._box, self._as_json)


class RestoreWorker:
    """Restores one clip after the other with one model.

    Args:
        args: options of the command.
        seen: what this machine must see.
        workers: that share the memory of a machine, by its name.
        box: receives messages and progress.

    Raises:
        ValueError: weights or options are wrong, or files are not seen.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        seen: list[Seen],
        workers: dict[str, int],
        box: Mailbox,
    ) -> None:
        for each in seen:
            each.check()
        self.args, self.box = args, box
        args.memory_share = count_neighbours(workers)
        self.teller = MailTeller(box, args.progress == 'json')
        self.model = init_model(
            args.config,
            args.weights,
            args.device,
            args.dtype,
            Savings(**given(args, Savings)),
        )
        if args.prompt_file is None:  # wrong options end the command
            choose_for_each(self.model, [], args)

    def __call__(self, task: ClipTask) -> Result | Stopped | list[ClipTask]:
        """Restore a clip; return its report, or the error.

        Of a clip that is to be divided, return the tasks; of scenes, an empty
        list. What is wrong with them is reported by who restores the clip.
        """
        job = task.job
        wait_until_free(job.dst, self.box)
        try:
            if task.parts or task.scenes:
                return self._share(task)
            (options,) = choose_for_each(self.model, [job], self.args)
            return restore(self.model, job, options, self.args, self.teller)
        except StoppedError as error:
            return Stopped(str(error))

    def _share(self, task: ClipTask) -> list[ClipTask]:
        """Divide a clip, or restore some scenes."""
        job, args, bar = task.job, self.args, SceneBar(task.scenes, self.box)
        rules = memory_rules(args)
        files = FileOptions(**given(args, FileOptions), memory=rules)
        try:
            options = task.options
            if options is None:
                (own,) = choose_for_each(self.model, [job], args)
                plan = plan_clip(self.model, job.src, job.target, own, files)
                options = plan.choice.options
            with VideoReader(job.src, files.frames, files.allow_partial) as r:
                work = RestoreTask(self.model, r, options, files, job.target)
                if task.scenes is not None:
                    work.restore_scenes(task.scenes, bar)
                    return []
                ranges = work.plan_scenes(task.parts)
        except (ValueError, OSError):
            return []
        return [
            replace(task, parts=0, scenes=each, options=options)
            for each in ranges
        ]


def wait_until_free(dst: Path, box: Mailbox) -> None:
    """Wait a short time while a process that was killed holds a result."""
    end = time.monotonic() + _PATIENCE
    while is_held(dst) and time.monotonic() < end:
        time.sleep(0.2)
        box.check()
