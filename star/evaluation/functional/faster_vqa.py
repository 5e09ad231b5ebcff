"""FasterVQA, Wu et al. 2023: technical quality from 8 x 4 frames.

Frames and fragments follow the official code; the score is the sigmoid of
the normalized raw score.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from star.evaluation.functional.fragments import (
    check_fragments,
    draw_offsets,
    mean_score,
    sigmoid,
    splice,
)
from star.utils.checks import check_choice

_PARTS, _FRAMES = 8, 4  # parts of a clip, frames taken from each
# frames from one that is taken to the next: of the official script for
# single videos, and of its data sets, with which the network was trained
PRESETS = {'official': 1, 'training': 2}
# of the raw scores, in the official script
_MEAN, _STD = 0.14759505, 0.03613452


@dataclass(frozen=True)
class FasterVQAScore:
    """Score of a clip; more is better.

    Args:
        score: in 0..1.
        raw: mean of the network's map.
    """

    score: float
    raw: float


@torch.no_grad()
def faster_vqa(
    network: Callable[[Tensor], Tensor],
    clip: Tensor,
    preset: str = 'official',
    seed: int = 0,
    repeats: int = 1,
) -> FasterVQAScore:
    """Score a clip.

    Args:
        network: from `load_faster_vqa`.
        clip: (T, 3, H, W) uint8 RGB, sides of 32 at least.
        preset: one of `PRESETS`.
        seed: of the fragments' positions, and of the frames if the clip has
            40 or more ('training': 72), >= 0.
        repeats: number of seeds, from `seed` on, that the raw score is
            averaged over.

    Raises:
        ValueError: no clip, frames too small, or a wrong option.
    """
    check_fragments(clip, 'FasterVQA', seed, repeats)
    check_choice('preset', preset, PRESETS)
    raws = [
        mean_score(network, fragments_view(clip, PRESETS[preset], seed + i))
        for i in range(repeats)
    ]
    raw = sum(raws) / repeats
    return FasterVQAScore(sigmoid((raw - _MEAN) / _STD), raw)


def fragments_view(clip: Tensor, interval: int, seed: int) -> Tensor:
    """Splice fragments of 8 x 4 frames; each four have their own positions.

    Args:
        clip: (T, 3, H, W) uint8, sides of 32 at least.
        interval: frames from one that is taken to the next.
        seed: the view is that of the official code after `np.random.seed`
            and `torch.manual_seed`.

    Returns:
        (1, 3, 32, 224, 224) float, normalized.
    """
    frames = sample_parts(len(clip), interval, np.random.RandomState(seed))
    generator = torch.Generator().manual_seed(seed)
    size = clip.shape[-2], clip.shape[-1]
    rows, columns = draw_offsets(size, _PARTS, generator)
    parts = [
        splice(clip, frames[i], rows[..., i], columns[..., i])
        for i in range(_PARTS)
    ]
    return torch.cat(parts, 1)[None]


def sample_parts(
    num_frames: int, interval: int, random: np.random.RandomState
) -> Tensor:
    """Choose four frames from each of eight equal parts of a clip.

    Each part starts at a random frame if it has more frames than are taken.
    Indices beyond the last frame wrap around to the first.

    Args:
        num_frames: of the clip, >= 1.
        interval: frames from one that is taken to the next.
        random: numpy's, as in the official code.

    Returns:
        Indices, (8, 4) int64.
    """
    step = num_frames // _PARTS
    starts = step * torch.arange(_PARTS)
    free = step - _FRAMES * interval
    if free > 0:
        starts += torch.from_numpy(random.randint(0, free, _PARTS))
    return (starts[:, None] + interval * torch.arange(_FRAMES)) % num_frames
