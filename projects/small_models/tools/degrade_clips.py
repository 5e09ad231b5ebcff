"""Degrade training clips once: degrade_clips.py CONFIG DST --count N.

Draws items 0 to N - 1 of the config's training set and writes them as
`gt.npy` and `lq.npy`, (N, T, H, W, 3) uint8, for the data set `PairArrays`.
Training then neither blurs nor encodes videos.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from torch import Tensor
from torch.utils.data import Dataset

import star.datasets  # noqa: F401 (registers)
from star.apis.inference.build import load_config
from star.registry import DATASETS
from star.utils.files import atomic_folder

NAMES = ('gt', 'lq')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write degraded windows of training clips as arrays.'
    )
    add = parser.add_argument
    add('config', help='whose training set is drawn from')
    add('dst', type=Path, help='folder for gt.npy and lq.npy, a new one')
    add('--count', type=int, required=True, help='windows')
    add('--data-root', help="default: the config's")
    args = parser.parse_args(arguments)
    if args.count < 1:
        parser.error(f'--count must be at least 1, got {args.count}')
    return args


def build_dataset(name: str, root: str | None) -> Dataset:
    settings = load_config(name).train_dataloader.dataset
    if root is not None:
        settings.data_root = root
    return DATASETS.build(settings)


def read_pair(dataset: Dataset, draw: int) -> dict[str, np.ndarray]:
    """Draw an item, (T, H, W, 3) each."""
    item = dataset[draw]
    clips = {'gt': item['data_samples'].gt, 'lq': item['inputs']}
    return {name: to_frames(clip) for name, clip in clips.items()}


def to_frames(clip: Tensor) -> np.ndarray:
    return clip.permute(0, 2, 3, 1).contiguous().numpy()


def write(dataset: Dataset, dst: Path, count: int) -> None:
    """Write all pairs."""
    first = read_pair(dataset, 0)
    arrays = {
        name: open_memmap(
            dst / f'{name}.npy', 'w+', np.uint8, (count, *first[name].shape)
        )
        for name in NAMES
    }
    for draw in range(count):
        pair = read_pair(dataset, draw)
        for name in NAMES:
            arrays[name][draw] = pair[name]
        if draw % 100 == 99:
            print(f'{draw + 1} of {count}', flush=True)
    for name in NAMES:
        arrays[name].flush()


def main(arguments: list[str] | None = None) -> int:
    args = parse_args(arguments)
    try:
        dataset = build_dataset(args.config, args.data_root)
        with atomic_folder(args.dst) as folder:
            write(dataset, folder, args.count)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
