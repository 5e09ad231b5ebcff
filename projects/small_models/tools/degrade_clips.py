"""Degrade training clips once, so that training need not wait.

    python -m projects.small_models.tools.degrade_clips CONFIG DST --count N

Draws items 0 to N - 1 of the config's training set and writes them as
`gt.npy` and `lq.npy`, (N, T, H, W, 3) uint8, for the data set `PairArrays`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from numpy.lib.format import open_memmap
from torch import Tensor
from torch.utils.data import Dataset

from star.apis.inference.build import load_config
from star.apis.train.changes import apply_changes
from star.apis.train.option_text import read_changes
from star.cli.common import DONE, Parser, execute, number, say
from star.registry import DATASETS
from star.utils.files import atomic_folder

NAMES = ('gt', 'lq')


def parse_args(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser('degrade_clips', __doc__)
    add = parser.add_argument
    add('config', help='whose training set is drawn from')
    add('dst', type=Path, help='folder for gt.npy and lq.npy, a new one')
    add('--count', type=number(int, 1), required=True, help='windows')
    add('--data-root', help="default: the config's")
    add(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='replace values of the config',
    )
    return parser.parse(words)


def main(words: Sequence[str] | None = None) -> int:
    return execute(degrade, parse_args(words))


def degrade(args: argparse.Namespace) -> int:
    """Write all pairs; DST appears when it is complete."""
    config = load_config(args.config)
    apply_changes(config, read_changes(args.cfg_options))
    dataset = build_dataset(config, args.data_root)
    with atomic_folder(args.dst) as folder:
        write(dataset, folder, args.count)
    return DONE


def build_dataset(config: Config, root: str | None) -> Dataset:
    settings = config.train_dataloader.dataset
    if root is not None:
        settings.data_root = root
    return DATASETS.build(settings)


def read_pair(dataset: Dataset, item: int) -> dict[str, np.ndarray]:
    """Make an item, (T, H, W, 3) each."""
    made = dataset[item]
    clips = {'gt': made['data_samples'].gt, 'lq': made['inputs']}
    return {name: to_frames(clip) for name, clip in clips.items()}


def to_frames(clip: Tensor) -> np.ndarray:
    return clip.permute(0, 2, 3, 1).contiguous().numpy()


def write(dataset: Dataset, folder: Path, count: int) -> None:
    first = read_pair(dataset, 0)
    arrays = {
        name: open_memmap(
            folder / f'{name}.npy', 'w+', np.uint8, (count, *first[name].shape)
        )
        for name in NAMES
    }
    for item in range(count):
        pair = read_pair(dataset, item) if item else first
        for name in NAMES:
            arrays[name][item] = pair[name]
        if item % 100 == 99:
            say(f'{item + 1} of {count}')
    for array in arrays.values():
        array.flush()


if __name__ == '__main__':
    sys.exit(main())
