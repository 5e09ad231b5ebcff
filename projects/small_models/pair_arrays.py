"""Degraded training clips kept as arrays, so that training need not wait."""

from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from star.datasets.draws import Draws
from star.datasets.transforms import compose
from star.registry import DATASETS


@DATASETS.register_module()
class PairArrays(Dataset):
    """Reads random windows of low-quality clips and their ground truth.

    `gt.npy` and `lq.npy` lie in one folder, made by
    `projects/small_models/tools/degrade_clips.py`, and are memory-mapped. Items
    are addressed by draw numbers (`Draws`).

    Args:
        data_root: folder of the two arrays, (N, T, H, W, 3) and
            (N, T, h, w, 3) uint8 RGB, H and W multiples of h and w.
        num_frames: frames of one item, at most T.
        pipeline: transforms applied to `dict(gt, lq, prompt, name, dataset,
            rng)`.
        seed: of the draws.

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
        self.gt, self.lq = _load(root / 'gt.npy'), _load(root / 'lq.npy')
        _check_pair(root, self.gt.shape, self.lq.shape)
        if not 1 <= num_frames <= self.gt.shape[1]:
            raise ValueError(
                f'`num_frames` is {num_frames}, but the clips in {root} have '
                f'{self.gt.shape[1]} frames'
            )
        self.num_frames = num_frames
        self.pipeline = compose(pipeline)
        self.draws = Draws(len(self.gt), seed)

    def __len__(self) -> int:
        return len(self.gt)

    def __getitem__(self, draw: int) -> dict:
        rng, which = self.draws.rng(draw), self.draws.clip(draw)
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


def _load(path: Path) -> np.ndarray:
    if not path.is_file():
        raise ValueError(
            f'`data_root` lacks {path.name}: {path.parent} (make it with '
            'projects/small_models/tools/degrade_clips.py)'
        )
    clips = np.load(path, mmap_mode='r')
    if clips.ndim != 5 or clips.shape[-1] != 3 or clips.dtype != np.uint8:
        raise ValueError(
            f'{path} must be (N, T, H, W, 3) uint8, got {clips.shape} '
            f'{clips.dtype}'
        )
    return clips


def _check_pair(root: Path, gt: tuple, lq: tuple) -> None:
    """Check that both hold the same frames, at sizes with a whole factor."""
    same = gt[:2] == lq[:2]
    scale = gt[2] // lq[2]
    if not same or gt[2:4] != (lq[2] * scale, lq[3] * scale):
        raise ValueError(f'gt.npy and lq.npy in {root} differ: {gt}, {lq}')
