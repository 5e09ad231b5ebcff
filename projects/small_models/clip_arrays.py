"""Training clips kept as arrays: one `.npy` file of frames per video."""

from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from star.datasets.draws import Draws
from star.datasets.transforms import compose
from star.registry import DATASETS


@DATASETS.register_module()
class ClipArrays(Dataset):
    """Reads random windows of consecutive frames from `.npy` arrays.

    Arrays are memory-mapped, so a window costs only its own bytes. Files are
    made by `projects/small_models/tools/prepare_clips.py`. Items are addressed
    by draw numbers (`Draws`): any integer >= 0, a new window each time.

    Args:
        data_root: folder of `.npy` files, each (T, H, W, 3) uint8 RGB.
        num_frames: frames of one item.
        pipeline: transforms applied to `dict(gt, prompt, name, dataset,
            rng)`, gt (T, H, W, C) uint8.
        seed: of the draws.

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
                'with projects/small_models/tools/prepare_clips.py)'
            )
        self.num_frames = num_frames
        self.pipeline = compose(pipeline)
        self.clips = [np.load(path, mmap_mode='r') for path in self.paths]
        for path, clip in zip(self.paths, self.clips, strict=True):
            _check_clip(path.name, clip, num_frames)
        self.draws = Draws(len(self.clips), seed)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, draw: int) -> dict:
        rng, which = self.draws.rng(draw), self.draws.clip(draw)
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
