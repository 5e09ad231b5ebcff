"""Saving of a run as checkpoint folders, and resuming from one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine import dist
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import BaseLoop, Runner
from torch import Tensor

from star.engine import checkpointing, restoring, run_state
from star.engine.best import BestScore
from star.engine.draw_sampler import DrawSampler
from star.engine.ema import gather_averages
from star.engine.interruption import Interruption, signal_name
from star.engine.origin_records import describe_run
from star.engine.resuming import check_resume, describe_config
from star.engine.sharded_optimizer import gather_optimizer
from star.engine.sharding import prepare_sharded
from star.registry import HOOKS
from star.utils.checkpoint_folder import find_last, load_weights
from star.utils.checks import check_least
from star.utils.origins import held_names


@HOOKS.register_module()
class SafeCheckpointHook(Hook):
    """Saves every `interval` iterations, at the end, on SIGTERM and Ctrl-C.

    A checkpoint holds the trained weights, optimiser, schedules, logged
    scalars, averaged weights, the random state of every rank and the position
    in the data, so that a resumed run has the same losses. It names the files
    of the weights that it does not hold, with their SHA-256. Rank 0 writes it
    with `checkpointing.save_checkpoint`. To resume, pass the config through
    `checkpointing.set_resume`.

    Args:
        interval: iterations between two checkpoints.
        max_keep: number of checkpoints to keep, >= 1.
        save_all: save also the frozen weights that a file has; those that no
            file has are always saved.
        save_best: score of the validation by which the best checkpoint is kept
            as `best_SCORE_iter_N`; 'auto' is the first; None for none.
        rule: whether a 'greater' or 'less' score is better; None to infer it.
        may_differ: patterns of config entries that may change at resume,
            beside those that `resuming` lists.
        resume_from: checkpoint folder; set by `set_resume`.
        changes: patterns of config entries that this resume changes; set by
            `set_resume`.

    Raises:
        ValueError: `interval` or `max_keep` is not positive, or `rule` is
            unknown.
    """

    priority = 'VERY_LOW'  # after averaging, guards and schedules

    def __init__(
        self,
        interval: int = 500,
        max_keep: int = 2,
        save_all: bool = False,
        save_best: str | None = None,
        rule: str | None = None,
        may_differ: Sequence[str] = (),
        resume_from: str | None = None,
        changes: Sequence[str] = (),
    ) -> None:
        for name, value in (('interval', interval), ('max_keep', max_keep)):
            check_least(name, value, 1)
        self.interval = interval
        self.max_keep = max_keep
        self.save_all = save_all
        self.best = None if save_best is None else BestScore(save_best, rule)
        self.may_differ = (*may_differ, *changes)
        self.resume_from = Path(resume_from) if resume_from else None
        self._state: dict[str, Any] = {}  # read, not yet restored
        self._begun = 0  # iterations that earlier processes did
        self._saved = 0  # iterations in the newest checkpoint
        self.interruption = Interruption()

    def before_run(self, runner: Runner) -> None:
        """Restore optimiser, schedules and iteration.

        This comes before `before_train`, because other hooks and the
        optimiser wrapper read the iteration there.

        Raises:
            ValueError: the run cannot be saved or resumed as configured.
        """
        if not isinstance(runner._train_loop, BaseLoop):
            return  # no training
        prepare_sharded(runner)
        _check_run(runner, self.interval)
        _check_work_dir(Path(runner.work_dir), self.resume_from)
        if self.best is not None:
            self.best.prepare(runner)
        if self.resume_from is None:
            return
        state = checkpointing.load_state(self.resume_from)
        changed = check_resume(
            self.resume_from, state, runner.cfg, self.may_differ
        )
        if changed:
            listed = ', '.join(f'{k}: {v}' for k, v in changed.items())
            runner.logger.warning(f'changed since the checkpoint: {listed}')
        self._state = state
        self._begun = self._saved = state['iteration']
        runner.train_loop._iter = self._begun
        restoring.restore_optimizer(runner, state, changed)

    def before_train(self, runner: Runner) -> None:
        """Restore weights, logs and random states; skip the data seen.

        Raises:
            ValueError: the checkpoint does not fit this run.
        """
        if dist.is_main_process():
            checkpointing.remove_leftovers(runner.work_dir)
        self.interruption.watch()
        if self.resume_from is None:
            return
        if dist.is_main_process() and _is_within(
            self.resume_from, Path(runner.work_dir)
        ):
            checkpointing.point_to(self.resume_from)
        _restore_weights(runner, self.resume_from, self._state['frozen'])
        restoring.restore_ema(runner, self.resume_from)
        run_state.set_histories(runner.message_hub, self._state['histories'])
        restoring.skip_data(runner, self._state['draw'])
        # last, because others draw numbers
        restoring.restore_rng(runner, self._state['rng'])
        runner.logger.info(f'resumed {self.resume_from}')
        self._state = {}

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Save every `interval` iterations, after SIGTERM and Ctrl-C.

        Raises:
            SystemExit: after a signal, with the exit status 143 or 130.
        """
        done = runner.iter + 1
        signum = self.interruption.agreed()
        ending = signum and runner.optim_wrapper.should_update()
        if done % self.interval == 0 or ending:
            self._save(runner, done)
        if ending:
            runner.logger.warning(
                f'{signal_name(signum)}: saved iteration {done} in '
                f'{runner.work_dir}, ending; --resume continues'
            )
            raise SystemExit(128 + signum)

    def after_train(self, runner: Runner) -> None:
        """Save the end of the run, unless it has just been saved."""
        if self._saved < runner.iter:
            self._save(runner, runner.iter)
        self.interruption.unwatch()

    def before_val(self, runner: Runner) -> None:
        """Save the random state: a resumed run may not validate here."""
        self._rng = run_state.get_rng_state()

    def after_val_epoch(
        self, runner: Runner, metrics: dict[str, float] | None = None
    ) -> None:
        """Note the scores."""
        self._scores = metrics or {}

    def after_val(self, runner: Runner) -> None:
        """Restore the random state; save the best checkpoint."""
        run_state.set_rng_state(self._rng)
        if self.best is not None and not self.best.of_clips:
            self._keep_best(runner, runner.iter, self._scores)

    def keep_best(
        self, runner: Runner, iteration: int, scores: Mapping[str, float]
    ) -> None:
        """Save the checkpoint if the scores of its clips are the best.

        Args:
            runner: of the training.
            iteration: number of iterations that it has done.
            scores: by metric, the same on all ranks.
        """
        best = self.best
        if best is None or not best.of_clips:
            return
        if best.name in scores:
            self._keep_best(runner, iteration, scores)
        else:
            runner.logger.warning(
                f'iteration {iteration} cannot be the best: {best.name} of a '
                'validation clip is missing'
            )

    def _keep_best(
        self, runner: Runner, done: int, scores: Mapping[str, float]
    ) -> None:
        best = self.best
        if best is None or not scores or not best.is_better(runner, scores):
            return
        folder = Path(runner.work_dir) / f'best_{best.word}_iter_{done}'
        self._write(
            runner,
            folder,
            {'iteration': done, 'best': {best.name: best.best}},
            lambda: checkpointing.remove_other_best(folder, best.word),
        )

    def _save(self, runner: Runner, done: int) -> None:
        folder = Path(runner.work_dir) / f'iter_{done}'

        def finish() -> None:
            checkpointing.point_to(folder)
            checkpointing.remove_old(runner.work_dir, self.max_keep)

        self._write(runner, folder, {'iteration': done}, finish)
        self._saved = done

    def _write(
        self,
        runner: Runner,
        folder: Path,
        facts: dict[str, Any],
        finish: Callable[[], None],
    ) -> None:
        """Write a checkpoint; a failure of rank 0 is raised on all ranks."""
        done = facts['iteration']
        rng = dist.all_gather_object(run_state.get_rng_state())
        # all ranks take part, because each may hold a share
        weights = _weights(runner, self.save_all)
        state = _collect(runner, done, done - self._begun)
        averages = gather_averages(runner)
        problem: list[Exception | None] = [None]
        if dist.is_main_process():
            try:
                _refuse_nonfinite(runner, weights, done)
                checkpointing.write_checkpoint(
                    folder,
                    weights,
                    {**state, **facts, 'rng': rng},
                    averages,
                    describe_run(runner, weights.keys()),
                )
                finish()
            except (OSError, RuntimeError) as error:
                problem = [error]
        dist.broadcast_object_list(problem)
        if problem[0] is not None:
            raise problem[0]
        runner.logger.info(f'saved {folder}')


def _refuse_nonfinite(
    runner: Runner, weights: Mapping[str, Tensor], done: int
) -> None:
    name = run_state.first_nonfinite(weights)
    if name is not None:
        raise RuntimeError(
            f'weight {name} is not finite after iteration {done}; it is not '
            f'saved, the last good checkpoint is {find_last(runner.work_dir)}'
        )


def _is_within(folder: Path, work_dir: Path) -> bool:
    return folder.resolve().parent == work_dir.resolve()


def _check_run(runner: Runner, interval: int) -> None:
    if runner.cfg.get('resume'):
        raise ValueError(
            "`resume` is for mmengine's own checkpoints: set it to False and "
            'use --resume'
        )
    if not isinstance(runner.train_dataloader.sampler, DrawSampler):
        raise ValueError(
            '`train_dataloader.sampler` must be a DrawSampler, so that the '
            'position in the data can be saved'
        )
    if any(isinstance(hook, EMAHook) for hook in runner.hooks):
        raise ValueError('EMAHook cannot be saved: use TrainedEMAHook')
    counts = runner.optim_wrapper._accumulative_counts
    if interval % counts:
        raise ValueError(
            f'`interval` of the checkpoints must be a multiple of '
            f'`accumulative_counts` = {counts}, got {interval}'
        )


def _check_work_dir(work_dir: Path, resume_from: Path | None) -> None:
    """Refuse the folder of another run, whose checkpoints would be lost."""
    if resume_from is None or not _is_within(resume_from, work_dir):
        best = sorted(work_dir.glob('best_*_iter_*'))
        last = find_last(work_dir) or next(iter(best), None)
        if last is not None:
            raise ValueError(
                f'{work_dir} holds an earlier run, saved at {last.name}: '
                'continue it with --resume, or give another --work-dir'
            )


def _collect(runner: Runner, done: int, batches: int) -> dict[str, Any]:
    loader = runner.train_dataloader
    return {
        'iteration': done,
        'draw': loader.sampler.position(batches, loader.batch_size),
        'config': describe_config(runner.cfg),
        'frozen': run_state.digest_frozen(runner.model),
        'optimizer': gather_optimizer(runner.model, runner.optim_wrapper),
        'schedulers': restoring.save_schedulers(runner),
        'histories': run_state.get_histories(runner.message_hub),
    }


def _weights(runner: Runner, save_all: bool) -> dict[str, Tensor]:
    names = run_state.state_names(runner.model)
    if not save_all:
        names = held_names(run_state.unwrapped(runner.model), names)
    return run_state.pick_state(runner.model, names)


def _restore_weights(
    runner: Runner, folder: Path, frozen: dict[str, str]
) -> None:
    weights = load_weights(folder)
    try:
        run_state.load_trained(runner.model, weights)
    except ValueError as error:
        raise ValueError(f'{folder}: {error}') from None
    current = run_state.digest_frozen(runner.model)
    for part in sorted(current.keys() | frozen.keys()):
        if current.get(part) != frozen.get(part):
            raise ValueError(
                f'{folder}: the frozen weights of `{part}` are not those of '
                'the run; give it the same files (where the run itself set '
                'them, it must be saved with save_all=True)'
            )
