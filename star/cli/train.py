"""Train a model: `star train`."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import FlexibleRunner, Runner

from star.apis.train.checks import check_training
from star.apis.train.plan import describe_plan, plan_training
from star.apis.train.training import (
    RunOptions,
    build_runner,
    end_processes,
    read_changes,
    run_config,
    start_processes,
)
from star.cli.common import DONE, INCOMPLETE, fail, say
from star.cli.launch import launch, launches, refuse
from star.engine.checkpoint_hook import SafeCheckpointHook
from star.engine.checkpointing import set_resume
from star.engine.resuming import check_stock_resume
from star.utils.checkpoint_folder import find_last, resume_path
from star.utils.compat import allow_mmengine_types
from star.utils.files import check_writable
from star.utils.tensor_files import read_checkpoint


def run(args: argparse.Namespace) -> int:
    """Train, or print the plan, and return the exit code."""
    # a log on a full disk must not print a traceback for each line
    logging.raiseExceptions = False
    runner = None
    try:
        config = read_config(args)
        if args.dry_run:
            plan = plan_training(config, args.weights)
            print(describe_plan(plan, args.tflops))
            return DONE
        check_writable(config.work_dir)
        if launches(args):
            check_training(config)  # once, not in every process
            return launch('train', args)
        start_processes(config)
        runner = build_runner(config, args.weights)
        train(runner)
        end_processes()
    except Exception as error:
        # a resumed run has an iteration before it has done anything
        if runner is None or not runner.message_hub.log_scalars:
            return refuse(error)
        if isinstance(error, OSError):
            return end(error, runner)
        return fail(error)
    return DONE


def train(runner: Runner | FlexibleRunner) -> None:
    """Run a training; note signals before its data loader starts workers."""
    hooks = [h for h in runner.hooks if isinstance(h, SafeCheckpointHook)]
    try:
        for hook in hooks:
            hook.interruption.watch()
        with allow_mmengine_types():  # in checkpoints of its own hook
            runner.train()
    finally:
        for hook in hooks:
            hook.interruption.unwatch()


def end(error: OSError, runner: Runner | FlexibleRunner) -> int:
    """Report a training that the disk has stopped; return the exit code."""
    if is_main_process():
        last = find_last(runner.work_dir)
        kept = 'no checkpoint has been saved'
        if last is not None:
            kept = f'the last good checkpoint is {last}'
        # that of a worker of the data loader ends a traceback
        reason = str(error).strip().splitlines()[-1]
        if str(runner.work_dir) not in reason:
            reason += f' (work folder {runner.work_dir})'
        say(f'error: the training has stopped: {reason}; {kept}')
    return INCOMPLETE


def read_config(args: argparse.Namespace) -> Config:
    """Read the config with the changes of the command line."""
    options = RunOptions(
        work_dir=args.work_dir,
        amp=args.amp,
        seed=args.seed,
        launcher=args.launcher,
        changes=read_changes(args.cfg_options),
    )
    config = run_config(args.config, options)
    if config.get('train_dataloader') is None:
        raise ValueError(
            f'config {args.config} is not for training: it has no '
            '`train_dataloader`'
        )
    if args.resume is not None:
        resume(config, args.resume, changed_entries(args, options))
    elif saves_folders(config):
        set_resume(config, None)  # a dumped config may name a checkpoint
    return config


def saves_folders(config: Config) -> bool:
    """Return whether a run saves checkpoint folders, not mmengine's files."""
    hook = (config.get('default_hooks') or {}).get('checkpoint') or {}
    return hook.get('type') == 'SafeCheckpointHook'


def changed_entries(
    args: argparse.Namespace, options: RunOptions
) -> list[str]:
    """List patterns of the entries that the command line sets."""
    keys = [*(options.changes or {}), *(['optim_wrapper.type'] * args.amp)]
    return [pattern for key in keys for pattern in (key, f'{key}.*')]


def resume(config: Config, folder: str, changes: Sequence[str]) -> None:
    """Continue from a checkpoint folder, or as mmengine does from its own.

    Args:
        config: of the run; changed in place.
        folder: of the checkpoint or the run; '' for the config's own.
        changes: patterns of entries that may differ from the checkpoint's.
    """
    if saves_folders(config):
        path = resume_path(folder or config.work_dir)
        set_resume(config, path, changes)
        return
    last = Path(config.work_dir) / 'last_checkpoint'
    if not folder and not last.is_file():
        raise ValueError(
            f'nothing to resume: {config.work_dir} has no {last.name}; leave '
            'out --resume to start a new training'
        )
    path = Path(folder or last.read_text(encoding='utf-8').strip())
    check_stock_resume(path, read_checkpoint(path), config)
    config.resume = True
    config.load_from = folder or None
