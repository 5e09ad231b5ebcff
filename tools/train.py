"""Train a model: python tools/train.py CONFIG [--work-dir DIR] [--resume]."""

import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction
from mmengine.runner import Runner

from star.apis.build import load_config
from star.compat import allow_mmengine_resume


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model.')
    parser.add_argument('config', type=Path)
    parser.add_argument('--work-dir', help='default: work_dirs/CONFIG')
    parser.add_argument(
        '--resume', action='store_true', help="from the run's last checkpoint"
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help='KEY=VALUE pairs that override the config',
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        config = load_config(args.config)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    config.work_dir = args.work_dir or f'work_dirs/{args.config.stem}'
    config.resume = args.resume
    config.randomness = dict(seed=args.seed)
    if args.cfg_options:
        config.merge_from_dict(args.cfg_options)
    allow_mmengine_resume()
    try:
        runner = Runner.from_cfg(config)
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    runner.train()
    return 0


if __name__ == '__main__':
    sys.exit(main())
