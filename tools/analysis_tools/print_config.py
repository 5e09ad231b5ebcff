"""Print a whole config, with what it inherits.

    python tools/analysis_tools/print_config.py CONFIG \
        --cfg-options train_cfg.max_iters=100

CONFIG is a file, or the name of a config such as i2vgen. What is printed is a
config itself. Exit code: 0 done, 2 wrong use.
"""

import argparse
import sys
from pathlib import Path

from star.apis.inference.build import load_config
from star.apis.train.training import apply_changes, read_changes
from star.cli.common import DONE, Parser, execute
from star.cli.options.train import add_config_options
from star.utils.files import write_text


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument('config', help='file or name of a config')
    parser.add_argument(
        '--save-path', type=Path, metavar='FILE', help='write it here as well'
    )
    add_config_options(parser)
    return parser.parse(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    config = load_config(args.config)
    apply_changes(config, read_changes(args.cfg_options))
    text = config.pretty_text.rstrip() + '\n'
    if args.save_path:
        write_text(args.save_path, text)
    print(text, end='')
    return DONE


if __name__ == '__main__':
    sys.exit(main())
