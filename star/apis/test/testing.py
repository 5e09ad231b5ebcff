"""Test a method: restore clips, score them, gather the results.

Each clip is read, restored, scored by all metrics, recorded in a file and
dropped before the next. A run that was killed goes on from the records.
"""

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.dist import get_dist_info, init_dist, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from star.apis.inference.devices import find_device
from star.apis.test.method import Method
from star.apis.test.protocol import claim_folder
from star.apis.test.results import (
    collect_results,
    is_finished,
    record_path,
    write_results,
)
from star.apis.test.sets import ClipSets
from star.apis.train.training import start_processes
from star.registry import HOOKS
from star.structures import VideoSample
from star.utils.files import remove_temporary

_FAILURES = (MemoryError, OSError, RuntimeError, ValueError)
# nothing of a training takes part
_NO_HOOKS = (
    'checkpoint',
    'logger',
    'param_scheduler',
    'sampler_seed',
    'timer',
)


@dataclass(frozen=True)
class TestRun:
    """All that a test needs.

    Args:
        work_dir: where records and results go.
        sets: data sets by name, each with `names`.
        method: what restores.
        metrics: built, with `name`, `needs_gt` and `measure`.
        facts: `method` and `protocol`, as the results are to have them.
        problems: lines for what is left out.
        save: 'png' or 'mkv' to keep restored clips.
        shift: see ClipRecordHook.
    """

    __test__ = False  # no test of pytest's

    work_dir: Path
    sets: Mapping[str, Any]
    method: Method
    metrics: Sequence[Any]
    facts: Mapping[str, Any]
    problems: Sequence[str] = ()
    save: str | None = None
    shift: Callable[[Tensor, Tensor], Any] | None = None


class Attempts(BaseModel):
    """Lets a clip that cannot be restored be one, and not the end of a test.

    Args:
        model: what restores.
    """

    def __init__(self, model: BaseModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, *_: Any) -> None:
        """Refuse: only `test_step` is called."""
        raise NotImplementedError

    def test_step(self, data: Any) -> list[VideoSample]:
        """Restore clips that could be read; note what fails."""
        samples = data['data_samples']
        if any(sample.problem for sample in samples):
            return samples
        try:
            return self.model.test_step(data)
        except _FAILURES as error:
            for sample in samples:
                sample.problem = _one_line(error)
            return samples


def check_testing(config: Config) -> None:
    """Refuse a config that tests nothing.

    Raises:
        ValueError: naming what is absent.
    """
    parts = ('test_dataloader', 'test_evaluator', 'test_cfg')
    absent = [part for part in parts if config.get(part) is None]
    if absent:
        raise ValueError(
            f'config {config.filename} lacks {", ".join(absent)}: what to '
            'test on, and by which metrics'
        )


def connect(config: Config) -> None:
    """Connect the processes of a test before its Runner is made.

    Args:
        config: with `launcher`.

    Raises:
        ValueError: this is no process of the launcher.
    """
    start_processes(config)
    if config.launcher != 'none' and not dist.is_initialized():
        settings = config.get('env_cfg', {}).get('dist_cfg', {})
        init_dist(config.launcher, **settings)


def run_test(config: Config, run: TestRun, device: torch.device) -> dict:
    """Restore and score what is not yet done, and write the results.

    Args:
        config: for the Runner; its sets and metrics are not looked at.
        run: what to do.
        device: where to restore.

    Returns:
        The results, on all ranks.

    Raises:
        ValueError: the folder is of another test.
    """
    group = _patient_group()
    facts = _share(group, lambda: _claim(run))
    runner = _build_runner(config, run)
    if dist.is_initialized():
        assert device == find_device(), 'the launcher has chosen it'
    else:
        runner.model.to(device)
    _let_speak(runner)
    runner.test()
    if group is not None:
        dist.barrier(group)
    return _share(group, lambda: _finish(run, facts))


def remaining(
    clips: ClipSets, work_dir: str | Path, rank: int = 0, world: int = 1
) -> list[int]:
    """List the clips that a rank has to do and that are not done.

    Args:
        clips: all clips.
        work_dir: of the test.
        rank: number of this process.
        world: number of processes.
    """
    return [
        index
        for index in range(rank, len(clips), world)
        if not is_finished(record_path(work_dir, *clips.key(index)))
    ]


def _claim(run: TestRun) -> dict:
    """Make the folder this run's; remove what killed processes left."""
    facts = claim_folder(run.work_dir, {**run.facts, 'save': run.save})
    for pattern in 'clips/*', 'restored/*':
        for folder in run.work_dir.glob(pattern):
            remove_temporary(folder)
    return facts


def _finish(run: TestRun, facts: Mapping[str, Any]) -> dict:
    names = {name: each.names for name, each in run.sets.items()}
    results = collect_results(run.work_dir, names, facts, run.problems)
    write_results(results, run.work_dir)
    return results


def _build_runner(config: Config, run: TestRun) -> Runner:
    clips = ClipSets(run.sets)
    workers = min(1, config.test_dataloader.get('num_workers', 0))
    loader = DataLoader(
        clips,
        sampler=remaining(clips, run.work_dir, *get_dist_info()),
        num_workers=workers,
        prefetch_factor=1 if workers else None,  # two clips in memory
        collate_fn=pseudo_collate,
    )
    return Runner(
        model=Attempts(run.method.model),
        work_dir=str(run.work_dir),
        # with the time it names the log, which two runs must not share
        experiment_name=run.work_dir.name,
        test_dataloader=loader,
        test_evaluator=Evaluator([]),  # the hook scores
        test_cfg=dict(config.test_cfg),
        default_hooks=dict.fromkeys(_NO_HOOKS),
        custom_hooks=[_record_hook(run)],
        launcher=config.launcher,
        env_cfg=config.get('env_cfg', {}),
        log_level='WARNING',  # not of the machine and of all hooks
        visualizer={'type': 'Visualizer', 'vis_backends': []},
        randomness=config.get('randomness', {}),
        default_scope='star',
        cfg=_runner_config(config),
    )


def _runner_config(config: Config) -> Config:
    """Copy what the Runner looks up besides its arguments."""
    config = copy.deepcopy(config)
    # unlike the others it takes a model without anything to train
    wrapper = {'type': 'MMSeparateDistributedDataParallel'}
    config.model_wrapper_cfg = ConfigDict(wrapper)
    return config


def _let_speak(runner: Runner) -> None:
    """Let the log have a line for each clip, whichever rank does it."""
    runner.logger.setLevel(logging.INFO)
    for handler in runner.logger.handlers:
        handler.setLevel(logging.INFO)


def _record_hook(run: TestRun) -> Hook:
    hook = {
        'type': 'ClipRecordHook',
        'work_dir': run.work_dir,
        'metrics': run.metrics,
        'save': run.save,
        'shift': run.shift,
    }
    return HOOKS.build(hook)


def _patient_group() -> Any:
    """Make a group for waiting: some ranks have much less to do."""
    if not dist.is_initialized():
        return None
    return dist.new_group(timeout=timedelta(days=30), backend='gloo')


def _share(group: Any, work: Callable[[], dict]) -> dict:
    """Do something in the first process and give all its outcome.

    Raises:
        ValueError: on all ranks, what the work raised.
    """
    outcome: list[Any] = [None, None]
    if is_main_process():
        try:
            outcome[0] = work()
        except (OSError, ValueError) as error:
            outcome[1] = str(error)
    if group is not None:
        dist.broadcast_object_list(outcome, src=0, group=group)
    if outcome[1] is not None:
        raise ValueError(outcome[1])
    return outcome[0]


def _one_line(error: BaseException) -> str:
    return ' '.join(str(error).split()) or type(error).__name__
