"""Test a trained model on the sets and by the metrics of a config.

    python tools/test.py CONFIG CHECKPOINT [options]
    tools/dist_test.sh CONFIG CHECKPOINT GPUS [options]

CHECKPOINT is a folder iter_N of a training, a file of weights, a word that the
config knows (heavy, light), or `none` for a method that needs no weights. The
means go to WORK_DIR/metrics.json. Exit code: 0 done, 2 wrong use.
"""

import argparse
import sys

from mmengine.dist import is_main_process

from star.apis.testing import (
    check_testing,
    save_metrics,
    trained_model,
    without_training,
)
from star.apis.training import (
    LAUNCHERS,
    ChangesAction,
    RunOptions,
    build_runner,
    config_error,
    end_processes,
    run_config,
    start_processes,
)
from star.compat import allow_mmengine_resume


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add('config', help='file, or name of one in configs/star')
    add('checkpoint')
    add('--ema', action='store_true', help="the folder's averaged weights")
    add(
        '--weights',
        help='where the weights that were not trained come from: as for '
        'tools/train.py',
    )
    add('--work-dir', help='default: work_dirs/CONFIG')
    add(
        '--cfg-options',
        nargs='+',
        action=ChangesAction,
        metavar='KEY=VALUE',
        help='replace values of the config',
    )
    add('--launcher', choices=LAUNCHERS, default='none')
    add('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def test(args: argparse.Namespace) -> None:
    options = RunOptions(
        work_dir=args.work_dir,
        launcher=args.launcher,
        changes=args.cfg_options,
    )
    config = run_config(args.config, options)
    check_testing(config)
    start_processes(config)
    allow_mmengine_resume()
    model = trained_model(config, args.checkpoint, args.weights, args.ema)
    config = without_training(config)
    metrics = build_runner(config, model=model).test()
    if is_main_process():
        path = save_metrics(metrics, config.work_dir)
        print(f'{path}: {metrics}')
    end_processes()


def main() -> int:
    args = parse_args()
    try:
        test(args)
    except Exception as error:
        reason = config_error(error)
        if reason is None:
            raise
        print(f'error: {reason}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
