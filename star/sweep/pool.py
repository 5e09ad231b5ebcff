"""Runs the commands of a sweep, several at once, each on its own device."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from star.sweep.locking import try_lock
from star.sweep.progress import SweepProgress
from star.sweep.stages import RunStage, check_stage, is_done, mark_stage

_PAUSE = 0.1  # seconds between two looks
_PATIENCE = 60.0  # seconds that a stopped training has for its checkpoint


@dataclass(frozen=True)
class PlannedRun:
    """The stages of a run.

    Args:
        name: of the run.
        folder: of the run.
        stages: in order.
    """

    name: str
    folder: Path
    stages: Sequence[RunStage]

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return all(is_done(stage) for stage in self.stages)


@dataclass
class _ActiveRun:
    """A run that goes on now."""

    work: PlannedRun
    device: Mapping[str, str]
    lock: int
    begun: float = field(default_factory=time.monotonic)
    stage: RunStage | None = None
    stage_begun: float = 0.0
    process: subprocess.Popen | None = None
    failure: str | None = None

    def advance(self) -> bool:
        """Start what comes next where something ended; False at the end."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return True
            self._finish(code)
        if self.failure is not None:
            return False
        left = [stage for stage in self.work.stages if not is_done(stage)]
        if left:
            self._start(left[0])
        return bool(left)

    def _start(self, stage: RunStage) -> None:
        check_stage(stage)  # another sweep may have been here
        mark_stage(stage)
        command = stage.command()
        with open(stage.log, 'ab') as log:
            log.write(f'$ {shlex.join(command)}\n'.encode())
            log.flush()
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.device},
                pass_fds=[self.lock],  # see try_lock
                start_new_session=True,  # Ctrl-C reaches the sweep alone
            )
        self.stage, self.stage_begun = stage, time.monotonic()

    def _finish(self, code: int) -> None:
        assert self.stage is not None
        self.process = None
        if code == 0:
            seconds = time.monotonic() - self.stage_begun
            mark_stage(self.stage, seconds)
        else:
            self.failure = describe_failure(self.work.name, self.stage, code)


class Pool:
    """Does the work of a sweep; what fails does not stop the rest.

    Args:
        works: the runs, those that are done included.
        devices: environment variables for each run that goes on at once.
        progress: told of every run.
    """

    def __init__(
        self,
        works: Sequence[PlannedRun],
        devices: Sequence[Mapping[str, str]],
        progress: SweepProgress,
    ) -> None:
        self.waiting = [work for work in works if not work.done]
        self.free = list(devices)
        self.progress = progress
        self.jobs: list[_ActiveRun] = []
        self.failures: list[str] = []
        self._told = False  # that others hold the rest

    def run(self) -> list[str]:
        """Do everything.

        Returns:
            A line for each run that failed.

        Raises:
            BaseException: what interrupted it, after all commands ended.
        """
        try:
            while self.waiting or self.jobs:
                self._start()
                self._look()
                self.progress.tick()
                time.sleep(_PAUSE)
        finally:
            stop([job.process for job in self.jobs if job.process])
            for job in self.jobs:
                os.close(job.lock)
            self.progress.close()
        return self.failures

    def _start(self) -> None:
        """Give every free device the first run that nobody else has."""
        for work in list(self.waiting):
            if not self.free:
                return
            lock = try_lock(work.folder)
            if lock is None:
                continue
            self.waiting.remove(work)
            self._told = False
            self.jobs.append(_ActiveRun(work, self.free.pop(0), lock))
            self.progress.begin()
        if self.waiting and not self.jobs and not self._told:
            self._told = True
            names = ', '.join(work.name for work in self.waiting)
            self.progress.say(f'waiting for what another sweep began: {names}')

    def _look(self) -> None:
        """See which runs have ended."""
        for job in list(self.jobs):
            try:
                if job.advance():
                    continue
            except (OSError, ValueError) as error:
                reason = ' '.join(str(error).split())
                job.failure = f'{job.work.name}: {reason}'
            self._end(job)

    def _end(self, job: _ActiveRun) -> None:
        self.jobs.remove(job)
        self.free.append(dict(job.device))
        os.close(job.lock)
        seconds = time.monotonic() - job.begun
        self.progress.end(seconds, job.failure is not None)
        if job.failure is None:
            self.progress.say(f'{job.work.name}: done in {seconds:.0f} s')
        else:
            self.failures.append(job.failure)
            self.progress.say(f'failed: {job.failure}')


def stop(
    processes: Sequence[subprocess.Popen], patience: float = _PATIENCE
) -> None:
    """End commands and all that they started.

    Args:
        processes: leaders of their own sessions.
        patience: seconds before they are killed; a training saves.
    """
    for process in processes:
        _signal(process, signal.SIGTERM)
    end = time.monotonic() + patience
    try:
        for process in processes:
            process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return  # the others have had as long
    finally:  # also if somebody is less patient
        for process in processes:
            if process.poll() is None:
                _signal(process, signal.SIGKILL)
                process.wait()


def describe_failure(name: str, stage: RunStage, code: int) -> str:
    """Say in one line what failed, and where to read on.

    Args:
        name: of the run.
        stage: of it that failed.
        code: exit code of the command.
    """
    lines = stage.log.read_text(encoding='utf-8', errors='replace')
    told = [line.strip() for line in lines.splitlines() if line.strip()]
    last = f': {told[-1][:200]}' if told else ''
    how = f'exit code {code}'
    if code < 0:
        how = f'killed by {signal.Signals(-code).name}'
    return f'{name}: {stage.name}, {how}{last}; log: {stage.log}'


def describe_plan(works: Sequence[PlannedRun]) -> str:
    """Say what would be done, and by which commands."""
    lines = []
    for work in works:
        left = [stage for stage in work.stages if not is_done(stage)]
        lines.append(f'{work.name}: {"to do" if left else "done"}')
        lines += [f'    {shlex.join(stage.plan())}' for stage in left]
    done = sum(work.done for work in works)
    return '\n'.join([*lines, f'{len(works)} runs, {done} done'])


def list_devices(
    gpus: Sequence[str], jobs: int, cores: int
) -> list[dict[str, str]]:
    """Say in which environment each of the runs at once goes on.

    Args:
        gpus: each as CUDA_VISIBLE_DEVICES takes it; one named twice takes two
            runs. None of them for the CPU.
        jobs: runs at once on the CPU, >= 1.
        cores: of the CPU, shared out unless OMP_NUM_THREADS is set.
    """
    if gpus:
        return [{'CUDA_VISIBLE_DEVICES': gpu} for gpu in gpus]
    threads = str(max(1, cores // jobs))
    threads = os.environ.get('OMP_NUM_THREADS', threads)
    place = {'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': threads}
    return [dict(place) for _ in range(jobs)]


def _signal(process: subprocess.Popen, number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # it has ended
