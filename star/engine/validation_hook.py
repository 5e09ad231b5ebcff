"""Validation during training: fixed clips are restored and logged."""

from collections.abc import Iterator, Sized
from contextlib import contextmanager
from pathlib import Path

import torch
from mmengine.dataset import pseudo_collate
from mmengine.dist import (
    all_gather_object,
    broadcast_object_list,
    get_rank,
    get_world_size,
)
from mmengine.hooks import EMAHook, Hook
from mmengine.model import BaseModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from star.engine.best import tell_scores
from star.engine.comparison import (
    compare_frames,
    file_name,
    write_comparison,
)
from star.engine.ema import TrainedEMAHook
from star.engine.monitor_hooks import unmonitored
from star.engine.run_state import get_rng_state, set_rng_state
from star.engine.validation_log import (
    ClipResult,
    log_results,
    mean_scores,
    warn,
)
from star.registry import DATASETS, HOOKS, METRICS
from star.structures import Metric, VideoSample
from star.utils.building import build_available
from star.utils.checks import check_least
from star.utils.errors import error_line


@HOOKS.register_module()
class ValidationClipsHook(Hook):
    """Restores clips every few iterations and logs them side by side.

    Each clip goes through the model's `predict`. `work_dir/validation/iter_N`
    gets a video of the low-quality (enlarged), restored and true frames side
    by side, the middle frame as PNG, and `scores.json`. The visualizer gets
    the frame as `val/NAME` and the means of the metrics as `val/METRIC`.

    Validation does not change the training: random states, modes of the
    modules, times and peak memory are restored. If the run averages its
    weights, validation uses the averages. A clip that fails is logged as a
    warning, and the run continues.

    Ranks share the clips; each writes the files of its own, and the first
    one logs the results of all. A hook that keeps the best checkpoint is told
    the scores that all clips have. A sharded model restores each clip on all
    ranks, because its forward passes need all of them.

    Args:
        dataset: config of the data set; its items are those of training,
            `dict(inputs, data_samples)`, inputs (T, C, h, w) uint8.
        interval: iterations between two validations; there is one more at
            the end of the run.
        metrics: configs of metrics. A metric whose package or weights are
            missing is skipped with a warning.
        num_clips: number of clips, from the first; None for all.
        before_first: validate a new run also before its first iteration.
        autocast: restore under bfloat16 autocast.

    Raises:
        ValueError: an argument is out of range, or the data set is empty or
            cannot be built.
    """

    priority = 'LOWEST'  # after the checkpoint of the same iteration

    def __init__(
        self,
        dataset: dict,
        interval: int,
        metrics: list[dict] | tuple[dict, ...] = (),
        num_clips: int | None = None,
        before_first: bool = False,
        autocast: bool = False,
    ) -> None:
        check_least('interval', interval, 1)
        self.interval = interval
        self.before_first = before_first
        self.autocast = autocast
        self.dataset = DATASETS.build(dataset)
        self.num_clips = _count(self.dataset, num_clips)
        self.metrics = _build_metrics(metrics)

    def before_train(self, runner: Runner) -> None:
        """Validate a new run if `before_first` is set."""
        if self.before_first and runner.iter == 0:
            self.validate(runner, 0)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Validate every `interval` iterations."""
        iteration = runner.iter + 1
        if iteration % self.interval == 0 and iteration < runner.max_iters:
            self.validate(runner, iteration)

    def after_train(self, runner: Runner) -> None:
        """Validate the final model, which has been saved."""
        self.validate(runner, runner.iter)

    def validate(self, runner: Runner, iteration: int) -> None:
        """Restore the clips, write their files and log them.

        Args:
            runner: with the model, the visualizer and the folder.
            iteration: number of iterations that the model was trained for.
        """
        folder = Path(runner.work_dir) / 'validation' / f'iter_{iteration}'
        with unmonitored(runner):
            with _kept_random_state():
                results = self._restore_all(runner, folder)
            if get_rank() == 0:
                try:
                    log_results(runner, iteration, results, folder)
                except Exception as error:  # such as a full disk
                    warn(f'validation is not logged: {error_line(error)}')
            scores = [mean_scores(results)]
            broadcast_object_list(scores)
            if iteration:  # else there is nothing to keep
                tell_scores(runner, iteration, scores[0])

    def _restore_all(self, runner: Runner, folder: Path) -> list[ClipResult]:
        """Restore the clips; return the results of all ranks in order."""
        results = self._restore_share(runner, folder)
        if not _is_sharded(runner.model):
            parts = all_gather_object(results)
            results = [result for part in parts for result in part]
        return sorted(results, key=lambda result: result.index)

    def _restore_share(self, runner: Runner, folder: Path) -> list[ClipResult]:
        """Restore this rank's clips; a failure becomes a note."""
        model = runner.model
        alone = _is_sharded(model)
        rank, world = (0, 1) if alone else (get_rank(), get_world_size())
        indices = range(rank, self.num_clips, world)
        try:
            with _evaluating(runner), self._precision(model):
                return [self._try_clip(model, i, folder) for i in indices]
        except Exception as error:  # such as no memory for averages
            note = f'nothing restored: {error_line(error)}'
            return [ClipResult(i, f'clip {i}', notes=[note]) for i in indices]

    def _try_clip(
        self, model: BaseModel, index: int, folder: Path
    ) -> ClipResult:
        """Restore one clip; a failure becomes a note."""
        result = ClipResult(index, f'clip {index}')
        try:
            self._run_clip(model, result, folder)
        except Exception as error:  # no failure here may end the training
            result.image = None
            result.notes.append(f'{result.name}: {error_line(error)}')
        return result

    def _run_clip(
        self, model: BaseModel, result: ClipResult, folder: Path
    ) -> None:
        """Restore one clip, score it and write its files."""
        item = self.dataset[result.index]
        result.name = file_name(result.index, item['data_samples'].name)
        sample = model.val_step(pseudo_collate([item]))[0]
        if _is_sharded(model) and get_rank() != 0:
            return
        self._score(sample, result)
        still = len(sample.pred) // 2
        frames = compare_frames(item['inputs'], sample.pred, sample.gt)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / result.name
        result.image = write_comparison(path, frames, sample.fps, still)

    def _score(self, sample: VideoSample, result: ClipResult) -> None:
        """Add a clip's scores, without `gt` only those that need none."""
        assert sample.pred is not None
        for name, metric in self.metrics.items():
            if sample.gt is None and metric.needs_gt:
                continue
            try:
                found = metric.measure(sample.pred, sample.gt)
                result.scores[name] = found.score
            except (ImportError, OSError, ValueError) as error:
                result.notes.append(f'{name} left out: {error_line(error)}')

    def _precision(self, model: nn.Module) -> torch.autocast:
        device = next(model.parameters()).device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.autocast)


@contextmanager
def _kept_random_state() -> Iterator[None]:
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


@contextmanager
def _evaluating(runner: Runner) -> Iterator[None]:
    """Switch to evaluation, with averaged weights if there are any."""
    modes = [(part, part.training) for part in runner.model.modules()]
    averaging = (EMAHook, TrainedEMAHook)
    averages = [hook for hook in runner.hooks if isinstance(hook, averaging)]
    try:
        for hook in averages:
            hook.before_val_epoch(runner)
        runner.model.eval()
        with torch.no_grad():
            yield
    finally:
        for hook in averages:
            hook.after_val_epoch(runner)
        for part, mode in modes:
            part.training = mode


def _is_sharded(model: nn.Module) -> bool:
    """Return whether a forward pass of the model needs all ranks."""
    replicated = isinstance(model, DistributedDataParallel)
    return is_model_wrapper(model) and not replicated


def _count(dataset: Sized, num_clips: int | None) -> int:
    if num_clips is not None:
        check_least('num_clips', num_clips, 1)
    if not len(dataset):
        raise ValueError('`dataset` must hold at least one clip, got none')
    return min(len(dataset), num_clips or len(dataset))


def _build_metrics(
    configs: list[dict] | tuple[dict, ...],
) -> dict[str, Metric]:
    metrics, problems = build_available(configs, METRICS.build)
    for problem in problems:
        warn(f'validation without {problem}')
    return metrics
