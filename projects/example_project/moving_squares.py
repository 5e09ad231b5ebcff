"""A data set from outside: squares that move over noise, drawn on demand."""

import numpy as np
from torch.utils.data import Dataset

from star.datasets.transforms import compose
from star.registry import DATASETS


@DATASETS.register_module()
class MovingSquares(Dataset):
    """Draws clips for training and testing; nothing is read from files.

    An item depends on the seed and its number alone, so that two ranks never
    draw the same clip and a resumed training goes on where it was.

    Args:
        num_clips: clips of one epoch, or of the test set.
        num_frames: frames of a clip.
        height: of the ground truth in pixels.
        width: of the ground truth in pixels.
        pipeline: transforms of `dict(gt, name, dataset, fps, rng)`, with
            `gt` (T, H, W, 3) uint8; the last is PackVideoInputs.
        name: of the set in the results.
        seed: of all clips.

    Attributes:
        names: of the clips; a test set needs them.
    """

    metainfo = None

    def __init__(
        self,
        num_clips: int,
        num_frames: int,
        height: int,
        width: int,
        pipeline: list[dict],
        name: str = 'squares',
        seed: int = 0,
    ) -> None:
        self.shape = (num_frames, height, width)
        self.name, self.seed = name, seed
        self.names = [f'{i:03d}' for i in range(num_clips)]
        self.pipeline = compose(pipeline)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict:
        """Draw a clip; training asks for numbers beyond the length."""
        rng = np.random.default_rng((self.seed, index))
        results = {
            'gt': draw_clip(self.shape, rng),
            'name': self.names[index % len(self)],
            'dataset': self.name,
            'fps': 25.0,
            'rng': rng,
        }
        return self.pipeline(results)


def draw_clip(
    shape: tuple[int, int, int], rng: np.random.Generator
) -> np.ndarray:
    """Draw a square of one colour that moves over a still background.

    Args:
        shape: frames, height and width.
        rng: of colour, place, speed and background.

    Returns:
        (T, H, W, 3) uint8 RGB.
    """
    frames, height, width = shape
    still = rng.integers(0, 64, (height, width, 3), dtype=np.uint8)
    clip = np.repeat(still[None], frames, axis=0)
    side = min(height, width) // 3
    colour = rng.integers(96, 256, 3, dtype=np.uint8)
    top, left = rng.integers(0, (height - side, width - side))
    speed = rng.integers(-2, 3, 2)
    for t, frame in enumerate(clip):
        y = int(np.clip(top + t * speed[0], 0, height - side))
        x = int(np.clip(left + t * speed[1], 0, width - side))
        frame[y : y + side, x : x + side] = colour
    return clip
