"""Test a method: restore clips, score them, gather the results.

Each clip is read, restored, scored by all metrics, recorded in a file and
dropped before the next one. A test that was killed continues from the
records.
"""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dist import get_dist_info, init_dist, is_main_process
from torch import Tensor
from torch.utils.data import DataLoader

from star.apis.test.absence import list_absences
from star.apis.test.metrics import Metrics
from star.apis.test.pending import check_kept, find_readers, unfinished
from star.apis.test.protocol import claim_folder, join_facts
from star.apis.test.recording import (
    FAILURES,
    ClipRecorder,
    describe_record,
    restore_clip,
)
from star.apis.test.results import (
    collect_results,
    complete_scores,
    write_results,
)
from star.apis.test.scales import check_scales
from star.apis.test.sets import ClipSet, JoinedSets
from star.apis.train.training import start_processes
from star.models.contracts import Restorer
from star.models.editors import SavedResults
from star.structures import VideoSample
from star.utils.errors import error_line
from star.utils.files import remove_temporary

_LOG = logging.getLogger('star.test')


@dataclass(frozen=True)
class TestRun:
    """Everything that a test needs.

    Args:
        work_dir: where records and results go.
        sets: data sets by name.
        restorer: restores the clips, on its device already.
        metrics: to score with.
        facts: `method` and `protocol`, copied to the results.
        saved: results to score, instead of restoring clips; None to restore.
        save: 'png' or 'mkv' to keep restored clips.
        shift: see `ClipRecorder`.
        show_dir: folder for pictures of the clips; None for none.
        num_workers: 1 to read the next clip in another process while one is
            restored, 0 to read it afterwards.
    """

    __test__ = False  # not a test of pytest

    work_dir: Path
    sets: Mapping[str, ClipSet]
    restorer: Restorer
    metrics: Metrics
    facts: Mapping[str, Any]
    saved: SavedResults | None = None
    save: str | None = None
    shift: Callable[[Tensor, Tensor], Any] | None = None
    show_dir: Path | None = None
    num_workers: int = 0


def check_testing(config: Config) -> None:
    """Refuse a config without test sets or metrics.

    Raises:
        ValueError: `test_dataloader` or `test_evaluator` is missing.
    """
    parts = ('test_dataloader', 'test_evaluator')
    absent = [part for part in parts if config.get(part) is None]
    if absent:
        raise ValueError(
            f'config {config.filename} lacks {", ".join(absent)}: the test '
            'sets and the metrics'
        )


def connect(config: Config) -> None:
    """Connect the processes of a test.

    Args:
        config: with `launcher`.

    Raises:
        ValueError: the launcher has not started this process.
    """
    start_processes(config)
    if config.launcher != 'none' and not dist.is_initialized():
        settings = config.get('env_cfg', {}).get('dist_cfg', {})
        init_dist(config.launcher, **settings)


def run_test(run: TestRun) -> dict[str, Any]:
    """Restore and score the unfinished clips, and write the results.

    Args:
        run: describes the test.

    Returns:
        The results, in all processes.

    Raises:
        ValueError: the folder holds another test, or the method does not
            restore at the scale of a set.
    """
    if run.saved is None:
        check_scales(run.sets, run.restorer)
    group = _patient_group()
    facts = _share(group, lambda: _claim(run))
    recorder = _recorder(run, facts['save'])
    clips = JoinedSets(run.sets, run.saved)
    pending = unfinished(clips, recorder, *get_dist_info())
    indices = list(pending)
    loader: DataLoader = DataLoader(
        JoinedSets(run.sets, run.saved, find_readers(pending, recorder)),
        batch_size=None,
        sampler=indices,
        num_workers=run.num_workers,
        prefetch_factor=1 if run.num_workers else None,  # bounds the memory
    )
    with _logging_to(run.work_dir / 'test.log'), torch.no_grad():
        for number, item in enumerate(loader, 1):
            earlier = pending[indices[number - 1]]
            if earlier is not None:
                record = recorder.amend(
                    earlier, item['inputs'], item['data_samples']
                )
            else:
                record = _test_clip(run.restorer, recorder, **item)
            item.clear()  # or it stays in memory while the next one is read
            _LOG.info(
                '[%d/%d] %s', number, len(indices), describe_record(record)
            )
            for problem in record['problems']:
                _LOG.warning(problem)
    if group is not None:
        dist.barrier(group)
    return _share(group, lambda: _finish(run, facts))


def _test_clip(
    restorer: Restorer,
    recorder: ClipRecorder,
    inputs: Tensor,
    data_samples: VideoSample,
) -> dict[str, Any]:
    """Restore, score and record one clip; record why it fails."""
    if data_samples.problem is None and data_samples.pred is None:
        try:
            restore_clip(restorer, inputs, data_samples)
        except FAILURES as error:
            data_samples.problem = error_line(error)
    return recorder.record(inputs, data_samples)


def _claim(run: TestRun) -> dict[str, Any]:
    """Claim the folder for this run; remove what killed processes left."""
    facts = {**run.facts, 'save': run.save}
    join_facts(run.work_dir, facts)
    clips = JoinedSets(run.sets, run.saved)
    again = check_kept(clips, _recorder(run, None))
    facts = claim_folder(run.work_dir, facts, again)
    for pattern in 'clips/*', 'restored/*':
        for folder in run.work_dir.glob(pattern):
            remove_temporary(folder)
    return facts


def _recorder(run: TestRun, save: str | None) -> ClipRecorder:
    return ClipRecorder(
        run.work_dir, run.metrics.built, save, run.shift, run.show_dir
    )


def _finish(run: TestRun, facts: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: each.names for name, each in run.sets.items()}
    problems = run.metrics.problems
    results = collect_results(run.work_dir, names, facts, problems)
    results['problems'] += list_absences(results, run.metrics)
    complete_scores(results)
    write_results(results, run.work_dir)
    return results


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Write the log to a file, for all processes, and to standard error."""
    form = logging.Formatter('%(asctime)s %(message)s', '%m/%d %H:%M:%S')
    handlers: list[logging.Handler] = [
        logging.FileHandler(path, encoding='utf-8'),
        logging.StreamHandler(sys.stderr),
    ]
    for handler in handlers:
        handler.setFormatter(form)
        _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        for handler in handlers:
            _LOG.removeHandler(handler)
            handler.close()


def _patient_group() -> Any:
    """Make a group that waits long: some processes have much less to do."""
    if not dist.is_initialized():
        return None
    return dist.new_group(timeout=timedelta(days=30), backend='gloo')


def _share(group: Any, work: Callable[[], dict]) -> dict[str, Any]:
    """Call a function in the first process; return its result in all.

    Raises:
        ValueError: in all processes, if it raised OSError or ValueError.
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
