"""Pool of a sweep's runs: several at once, each on its own device."""

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

_PAUSE = 0.1  # seconds between two looks at the commands
_PATIENCE = 60.0  # seconds that a stopped training has for its checkpoint


@dataclass(frozen=True)
class PlannedRun:
    """A run with its stages.

    Args:
        name: of the run.
        folder: of the run.
        stages: in their order.
    """

    name: str
    folder: Path
    stages: Sequence[RunStage]

    @property
    def left(self) -> list[RunStage]:
        """The stages that are not done."""
        return [stage for stage in self.stages if not is_done(stage)]

    @property
    def done(self) -> bool:
        """Return True if all stages are done."""
        return not self.left


@dataclass
class _ActiveRun:
    """A run that has a device and the lock of its folder."""

    run: PlannedRun
    device: Mapping[str, str]
    lock: int
    begun: float = field(default_factory=time.monotonic)
    stage: RunStage | None = None
    stage_begun: float = 0.0
    process: subprocess.Popen | None = None
    failure: str | None = None

    def advance(self) -> bool:
        """Start the next stage if one has ended; return False at the end."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return True
            self._finish(code)
        if self.failure is not None:
            return False
        left = self.run.left
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
                start_new_session=True,  # Ctrl-C reaches the sweep only
            )
        self.stage, self.stage_begun = stage, time.monotonic()

    def _finish(self, code: int) -> None:
        assert self.stage is not None
        self.process = None
        if code == 0:
            mark_stage(self.stage, time.monotonic() - self.stage_begun)
        else:
            self.failure = describe_failure(self.run.name, self.stage, code)


class Pool:
    """Does the runs of a sweep; a failed run does not stop the others.

    Args:
        runs: of the sweep; those that are done are skipped.
        devices: environment variables of each of the runs at once.
        progress: counts the runs.

    Raises:
        ValueError: the system has no POSIX signals.
    """

    def __init__(
        self,
        runs: Sequence[PlannedRun],
        devices: Sequence[Mapping[str, str]],
        progress: SweepProgress,
    ) -> None:
        if os.name != 'posix':
            raise ValueError('sweeps need a POSIX system')
        self.waiting = [run for run in runs if not run.done]
        self.free = list(devices)
        self.progress = progress
        self.active: list[_ActiveRun] = []
        self.failures: list[str] = []
        self._announced = False  # that another sweep holds the rest

    def run(self) -> list[str]:
        """Do all runs.

        Returns:
            A line for each run that failed.

        Raises:
            BaseException: an interruption, after all commands have ended.
        """
        try:
            while self.waiting or self.active:
                self._start()
                self._look()
                self.progress.tick()
                time.sleep(_PAUSE)
        finally:
            stop([each.process for each in self.active if each.process])
            for each in self.active:
                os.close(each.lock)
        return self.failures

    def _start(self) -> None:
        """Give each free device the first run that no other sweep holds."""
        for run in list(self.waiting):
            if not self.free:
                return
            lock = try_lock(run.folder)
            if lock is None:
                continue
            self.waiting.remove(run)
            self._announced = False
            self.active.append(_ActiveRun(run, self.free.pop(0), lock))
        if self.waiting and not self.active and not self._announced:
            self._announced = True
            names = ', '.join(run.name for run in self.waiting)
            self.progress.say(f'waiting for runs of another sweep: {names}')

    def _look(self) -> None:
        """Find the runs that have ended."""
        for each in list(self.active):
            try:
                if each.advance():
                    continue
            except (OSError, ValueError) as error:
                reason = ' '.join(str(error).split())
                each.failure = f'{each.run.name}: {reason}'
            self._end(each)

    def _end(self, ended: _ActiveRun) -> None:
        self.active.remove(ended)
        self.free.append(ended.device)
        os.close(ended.lock)
        if ended.failure is None:
            seconds = time.monotonic() - ended.begun
            text = f'{ended.run.name}: done in {seconds:.0f} s'
        else:
            self.failures.append(ended.failure)
            text = f'failed: {ended.failure}'
        self.progress.end(text, failed=ended.failure is not None)


def stop(
    processes: Sequence[subprocess.Popen], patience: float = _PATIENCE
) -> None:
    """End commands and all processes that they started.

    Args:
        processes: leaders of their own sessions.
        patience: seconds until they are killed, for a training to save.
    """
    for process in processes:
        _signal(process, signal.SIGTERM)
    end = time.monotonic() + patience
    try:
        for process in processes:
            process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return  # the others have had as long
    finally:  # also when the user interrupts the waiting
        for process in processes:
            if process.poll() is None:
                _signal(process, signal.SIGKILL)
                process.wait()


def describe_failure(name: str, stage: RunStage, code: int) -> str:
    """Return one line with the failed stage, its last output and its log.

    Args:
        name: of the run.
        stage: of the run.
        code: exit code of the command.
    """
    text = stage.log.read_text(encoding='utf-8', errors='replace')
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    last = f': {lines[-1][:200]}' if lines else ''
    how = f'exit code {code}'
    if code < 0:
        how = f'killed by {signal.Signals(-code).name}'
    return f'{name}: {stage.name}, {how}{last}; log: {stage.log}'


def describe_plan(runs: Sequence[PlannedRun]) -> str:
    """Return the runs, with the commands of those that are not done."""
    lines = []
    for run in runs:
        lines.append(f'{run.name}: {"done" if run.done else "to do"}')
        lines += [f'    {shlex.join(stage.plan())}' for stage in run.left]
    done = sum(run.done for run in runs)
    return '\n'.join([*lines, f'{len(runs)} runs, {done} done'])


def list_devices(
    gpus: Sequence[str], jobs: int, cores: int
) -> list[dict[str, str]]:
    """Return the environment variables of each of the runs at once.

    Args:
        gpus: values of CUDA_VISIBLE_DEVICES, repeated for several runs on a
            GPU; empty for the CPU.
        jobs: runs at once on the CPU, >= 1.
        cores: of the CPU, which the runs share unless OMP_NUM_THREADS is set.
    """
    if gpus:
        return [{'CUDA_VISIBLE_DEVICES': gpu} for gpu in gpus]
    threads = str(max(1, cores // jobs))
    threads = os.environ.get('OMP_NUM_THREADS', threads)
    device = {'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': threads}
    return [dict(device) for _ in range(jobs)]


def _signal(process: subprocess.Popen, number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return  # it has ended
