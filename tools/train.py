"""Train a model.

    python tools/train.py CONFIG [options]
    tools/dist_train.sh CONFIG GPUS [options]

Exit code: 0 trained to the end, 1 stopped on the way, 2 wrong use.
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import Config

from star.apis.train.plan import describe_plan, plan_training
from star.apis.train.training import (
    LAUNCHERS,
    ChangesAction,
    RunOptions,
    build_runner,
    config_error,
    end_processes,
    run_config,
    start_processes,
)
from star.engine.checkpointing import resume_path, set_resume
from star.utils.compat import allow_mmengine_resume


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add('config', help='file, or name of one in configs/star')
    add('--work-dir', help='default: work_dirs/CONFIG')
    add(
        '--resume',
        nargs='?',
        const='',
        metavar='FOLDER',
        help='go on from the last checkpoint of the work folder, or from the '
        'one given',
    )
    add(
        '--weights',
        help='start from this file, folder or word the config knows instead '
        "of the config's `start_weights`",
    )
    add('--amp', action='store_true', help='run networks in bfloat16')
    add('--seed', type=int, help="of weights and data; default: the config's")
    add(
        '--cfg-options',
        nargs='+',
        action=ChangesAction,
        metavar='KEY=VALUE',
        help='replace values of the config',
    )
    add(
        '--dry-run',
        action='store_true',
        help='print what would be trained, on what, and the memory it takes',
    )
    add('--launcher', choices=LAUNCHERS, default='none')
    # torch.distributed.launch passes it; torchrun sets a variable instead
    add('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def read_config(args: argparse.Namespace) -> Config:
    options = RunOptions(
        work_dir=args.work_dir,
        amp=args.amp,
        seed=args.seed,
        launcher=args.launcher,
        changes=args.cfg_options,
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
            'out --resume to start a new run'
        )
    allow_mmengine_resume()
    config.resume = True
    config.load_from = folder or None


def main() -> int:
    args = parse_args()
    runner = None
    try:
        config = read_config(args)
        if args.dry_run:
            print(describe_plan(plan_training(config, args.weights)))
            return 0
        start_processes(config)
        runner = build_runner(config, args.weights)
        runner.train()
        end_processes()
    except Exception as error:
        # a resumed run has an iteration before it has done anything
        begun = runner is not None and bool(runner.message_hub.log_scalars)
        reason = config_error(error)
        if reason is None or begun:
            raise
        print(f'error: {reason}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
