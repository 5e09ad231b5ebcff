"""Train a model: `star train`."""

import argparse
from pathlib import Path

from mmengine.config import Config

from star.apis.train.plan import describe_plan, plan_training
from star.apis.train.training import (
    RunOptions,
    build_runner,
    end_processes,
    read_changes,
    run_config,
    start_processes,
)
from star.cli.common import DONE, fail
from star.cli.launch import launch, launches, refuse
from star.engine.checkpointing import set_resume
from star.utils.checkpoint_folder import resume_path
from star.utils.compat import allow_mmengine_resume


def run(args: argparse.Namespace) -> int:
    """Train, or print the plan, and return the exit code."""
    runner = None
    try:
        config = read_config(args)
        if args.dry_run:
            print(describe_plan(plan_training(config, args.weights)))
            return DONE
        if launches(args):
            return launch('train', args)
        start_processes(config)
        runner = build_runner(config, args.weights)
        runner.train()
        end_processes()
    except Exception as error:
        # a resumed run has an iteration before it has done anything
        begun = runner is not None and bool(runner.message_hub.log_scalars)
        return fail(error) if begun else refuse(error)
    return DONE


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
        resume(config, args.resume)
    elif config.default_hooks.checkpoint.type == 'SafeCheckpointHook':
        set_resume(config, None)  # a dumped config may name a checkpoint
    return config


def resume(config: Config, folder: str) -> None:
    """Continue from a checkpoint folder, or as mmengine does from its own."""
    if config.default_hooks.checkpoint.type == 'SafeCheckpointHook':
        set_resume(config, resume_path(folder or config.work_dir))
        return
    last = Path(config.work_dir) / 'last_checkpoint'
    if not folder and not last.is_file():
        raise ValueError(
            f'nothing to resume: {config.work_dir} has no {last.name}; leave '
            'out --resume to start a new training'
        )
    allow_mmengine_resume()
    config.resume = True
    config.load_from = folder or None
