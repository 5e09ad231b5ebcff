"""Write what a training sees: low quality | ground truth, and the draws.

    python tools/analysis_tools/browse_dataset.py CONFIG --output-dir FOLDER

CONFIG is a training config, a file or its name. FOLDER gets a picture for each
item, a row for each of a few frames, and beside it a JSON file with the prompt
and all parameters of the degradation. Items have numbers: 0, 1, 2, ... are
those that the training takes first. Exit code: 0 done, 2 wrong use.
"""

import argparse
import sys
from pathlib import Path

from star.apis.analysis.training_items import (
    describe_draws,
    item_numbers,
    open_training_set,
    write_items,
)
from star.apis.train.training import RunOptions, read_changes, run_config
from star.cli.common import DONE, Parser, execute, number
from star.cli.launch import refuse
from star.cli.options.train import add_config_options


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('config', help='file or name of a training config')
    add('--output-dir', type=Path, required=True, metavar='FOLDER')
    count = number(int, 1)
    add('--number', type=count, default=8, help='of items; default: 8')
    add('--start', type=number(int, 0), default=0, help='first item')
    add('--frames', type=count, default=3, help='rows; default: 3')
    add('--seed', type=number(int, 0), help="default: the config's")
    add_config_options(parser)
    return parser.parse(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    changes = read_changes(args.cfg_options)
    config = run_config(
        args.config, RunOptions(seed=args.seed, changes=changes)
    )
    try:
        dataset = open_training_set(config)
        if args.seed is not None:
            check_seed(config.train_dataloader.dataset)
        numbers = item_numbers(config, dataset, args.start)
        for path, sample in write_items(
            dataset, numbers, args.number, args.output_dir, args.frames
        ):
            print(f'{path}: {describe_draws(sample)}')
    except Exception as error:
        return refuse(error)
    return DONE


def check_seed(dataset: dict) -> None:
    """Refuse --seed where it changes nothing."""
    if 'seed' not in dataset:
        raise ValueError(
            f'--seed: {dataset["type"]} has no seed of its own; use '
            '--cfg-options train_dataloader.dataset. ... .seed=N'
        )


if __name__ == '__main__':
    sys.exit(main())
