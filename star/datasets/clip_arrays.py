"""Training clips kept as arrays: one `.npy` file of frames per video."""

from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from star.datasets.transforms import compose
from star.registry import DATASETS


@DATASETS.register_module()
class ClipArrays(Dataset):
    """Reads random windows of consecutive frames from `.npy` arrays.

    Arrays are memory-mapped, so a window costs only its own bytes. Files are
    made by `tools/dataset_converters/prepare_clips.py`.

    Args:
        data_root: folder of `.npy` files, each (T, H, W, 3) uint8 RGB.
        num_frames: frames of one item.
        length: items of one epoch; windows are drawn anew each time.
        pipeline: transforms applied to `dict(gt, prompt, name, dataset)`,
            gt (T, H, W, C) uint8.
        seed: of the draws; a run with as many workers draws the same.

    Raises:
        ValueError: no array in `data_root`, or one that does not fit.
    """

    metainfo = None

    def __init__(
        self,
        data_root: str,
        num_frames: int,
        length: int,
        pipeline: list[dict],
        seed: int = 0,
    ) -> None:
        self.paths = sorted(Path(data_root).glob('*.npy'))
        if not self.paths:
            raise ValueError(
                f'`data_root` holds no .npy files: {data_root} (make them '
                'with tools/dataset_converters/prepare_clips.py)'
            )
        self.num_frames = num_frames
        self.length = length
        self.seed = seed
        self.pipeline = compose(pipeline)
        self.clips = [np.load(path, mmap_mode='r') for path in self.paths]
        for path, clip in zip(self.paths, self.clips, strict=True):
            _check_clip(path.name, clip, num_frames)
        self.draws = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict:
        rng = np.random.default_rng((self.seed, index, self.draws))
        self.draws += 1
        which = rng.integers(len(self.clips))
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


def _check_clip(name: str, clip: np.ndarray, num_frames: int) -> None:
    if clip.ndim != 4 or clip.shape[-1] != 3 or clip.dtype != np.uint8:
        raise ValueError(
            f'{name} must be (T, H, W, 3) uint8, got {clip.shape} {clip.dtype}'
        )
    if not 1 <= num_frames <= len(clip):
        raise ValueError(
            f'`num_frames` is {num_frames}, but {name} has {len(clip)} frames'
        )
