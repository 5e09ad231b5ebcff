"""Noise that belongs to the frames of a clip, not to how it is cut."""

from dataclasses import dataclass

import torch
from torch import Tensor

from star.models.restoration.segments import frame_generator
from star.utils.checks import check_choice

NOISES = ('per_frame', 'shared', 'none')


@dataclass(frozen=True)
class FrameNoise:
    """Draws the noise of consecutive frames.

    A frame's noise depends on the seed, on the number of the draw and on the
    frame's place in the clip alone, so windows, tiles and a restoration that
    is taken up again do not change it.

    Args:
        seed: of the restoration.
        start: index of the first frame within the clip.
        kind: 'per_frame', 'shared' for the same noise in every frame, or
            'none' for zeros.

    Raises:
        ValueError: an unknown `kind`.
    """

    seed: int
    start: int = 0
    kind: str = 'per_frame'

    def __post_init__(self) -> None:
        check_choice('noise', self.kind, NOISES)

    def draw(self, number: int, count: int, shape: tuple[int, ...]) -> Tensor:
        """Draw standard normal noise for the first `count` frames.

        Args:
            number: of the draw: another number is other noise.
            count: frames, from `start` on.
            shape: of one frame's noise.

        Returns:
            (count, *shape) float32 on the CPU.
        """
        if self.kind == 'none':
            return torch.zeros(count, *shape)
        shared = self.kind == 'shared'
        frames = [
            torch.randn(
                shape,
                generator=frame_generator(
                    self.seed, number, 0 if shared else self.start + i
                ),
            )
            for i in range(1 if shared else count)
        ]
        return torch.stack(frames).expand(count, *shape)
