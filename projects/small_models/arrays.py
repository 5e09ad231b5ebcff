"""Training clips as arrays on the disk: alone, in pairs, or in turn."""

from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from star.datasets.sampling import RandomItems
from star.datasets.transforms import compose
from star.registry import DATASETS

_TOOLS = 'projects/small_models/tools'


@DATASETS.register_module()
class ClipArrays(Dataset):
    """Reads random windows of consecutive frames from `.npy` arrays.

    Arrays are memory-mapped, so a window costs only its own bytes. Files are
    made by `prepare_clips.py` or `film_pictures.py`. Items have
    numbers (`RandomItems`): any integer >= 0, a new window each time.

    Args:
        data_root: folder of `.npy` files, each (T, H, W, 3) uint8 RGB.
        num_frames: frames of one item.
        pipeline: transforms applied to `dict(gt, prompt, name, dataset,
            rng)`, gt (T, H, W, C) uint8.
        seed: of the items.

    Raises:
        ValueError: no array in `data_root`, or one that does not fit.
    """

    metainfo = None

    def __init__(
        self,
        data_root: str,
        num_frames: int,
        pipeline: list[dict],
        seed: int = 0,
    ) -> None:
        self.paths = sorted(Path(data_root).glob('*.npy'))
        if not self.paths:
            raise ValueError(
                f'`data_root` holds no .npy files: {data_root} (make them '
                f'with {_TOOLS}/prepare_clips.py)'
            )
        self.num_frames = num_frames
        self.pipeline = compose(pipeline)
        self.clips = [_load(path, 'T H W 3') for path in self.paths]
        for path, clip in zip(self.paths, self.clips, strict=True):
            _check_length(path.name, num_frames, len(clip))
        self.items = RandomItems(len(self.clips), seed)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> dict:
        rng, which = self.items.rng(number), self.items.clip(number)
        clip = self.clips[which]
        start = rng.integers(len(clip) - self.num_frames + 1)
        return self.pipeline(
            {
                'gt': clip[start : start + self.num_frames],
                'prompt': '',
                'name': f'{self.paths[which].stem}@{start}',
                'dataset': 'clips',
                'rng': rng,
            }
        )


@DATASETS.register_module()
class PairArrays(Dataset):
    """Reads random windows of low-quality clips and their ground truth.

    `gt.npy` and `lq.npy` lie in one folder, made by `degrade_clips.py`, and
    are memory-mapped. Items have numbers (`RandomItems`).

    Args:
        data_root: folder of the two arrays, (N, T, H, W, 3) and
            (N, T, h, w, 3) uint8 RGB, H and W multiples of h and w.
        num_frames: frames of one item, at most T.
        pipeline: transforms applied to `dict(gt, lq, prompt, name, dataset,
            rng)`.
        seed: of the items.

    Raises:
        ValueError: an array is missing, or the two do not fit.
    """

    metainfo = None

    def __init__(
        self,
        data_root: str,
        num_frames: int,
        pipeline: list[dict],
        seed: int = 0,
    ) -> None:
        root = Path(data_root)
        self.gt, self.lq = (
            _load(root / name, 'N T H W 3') for name in ('gt.npy', 'lq.npy')
        )
        _check_pair(root, self.gt.shape, self.lq.shape)
        _check_length(data_root, num_frames, self.gt.shape[1])
        self.num_frames = num_frames
        self.pipeline = compose(pipeline)
        self.items = RandomItems(len(self.gt), seed)

    def __len__(self) -> int:
        return len(self.gt)

    def __getitem__(self, number: int) -> dict:
        rng, which = self.items.rng(number), self.items.clip(number)
        start = rng.integers(self.gt.shape[1] - self.num_frames + 1)
        frames = slice(start, start + self.num_frames)
        return self.pipeline(
            {
                'gt': self.gt[which, frames],
                'lq': self.lq[which, frames],
                'prompt': '',
                'name': f'{which}@{start}',
                'dataset': 'pairs',
                'rng': rng,
            }
        )


@DATASETS.register_module()
class Alternating(Dataset):
    """Takes items from several data sets in turn, so that all count alike.

    Item k is item k // n of data set k % n, for n data sets: however many
    clips each has, none is drowned by the others.

    Args:
        datasets: configs of data sets whose items have numbers
            (`RandomItems`).

    Raises:
        ValueError: `datasets` is empty.
    """

    metainfo = None

    def __init__(self, datasets: list[dict]) -> None:
        if not datasets:
            raise ValueError('`datasets` must not be empty, got []')
        self.datasets = [DATASETS.build(config) for config in datasets]

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)

    def __getitem__(self, number: int) -> dict:
        turn, which = divmod(number, len(self.datasets))
        return self.datasets[which][turn]


def _load(path: Path, axes: str) -> np.ndarray:
    """Map an array of uint8 RGB frames with the given axes."""
    if not path.is_file():
        raise ValueError(
            f'`data_root` lacks {path.name}: {path.parent} (make it with '
            f'{_TOOLS}/degrade_clips.py)'
        )
    clip = np.load(path, mmap_mode='r')
    wanted = len(axes.split())
    if clip.ndim != wanted or clip.shape[-1] != 3 or clip.dtype != np.uint8:
        raise ValueError(
            f'{path.name} must be ({axes.replace(" ", ", ")}) uint8, got '
            f'{clip.shape} {clip.dtype}'
        )
    return clip


def _check_length(name: str, num_frames: int, there: int) -> None:
    if not 1 <= num_frames <= there:
        raise ValueError(
            f'`num_frames` is {num_frames}, but {name} has {there} frames'
        )


def _check_pair(root: Path, gt: tuple, lq: tuple) -> None:
    """Check that both hold the same frames, at sizes with a whole factor."""
    same = gt[:2] == lq[:2]
    scale = gt[2] // lq[2]
    if not same or gt[2:4] != (lq[2] * scale, lq[3] * scale):
        raise ValueError(f'gt.npy and lq.npy in {root} differ: {gt}, {lq}')
