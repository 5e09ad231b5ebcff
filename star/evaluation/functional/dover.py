"""DOVER, Wu et al. 2023: technical and aesthetic quality of a clip.

Views and fusion follow the official code: the technical branch sees 3 x 32
frames of fragments, the aesthetic branch 32 small frames, and the score is the
sigmoid of a weighted sum.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from star.evaluation.functional.fragments import (
    SIZE,
    check_fragments,
    draw_integers,
    draw_offsets,
    mean_score,
    normalize,
    sigmoid,
    splice,
)
from star.evaluation.networks.dover import DOVERNetwork
from star.utils.checks import check_choice

_FRAMES = 32  # of one pass through the network
_CLIPS = 3  # passes of the technical branch
_INTERVAL = 2


@dataclass(frozen=True)
class DoverScores:
    """Scores of a clip; more is better.

    Args:
        overall: fused, in 0..1 (0..100 for 'technical_x100').
        technical: of the technical branch alone, in 0..1.
        aesthetic: of the aesthetic branch alone, in 0..1.
        raw_technical: of the technical branch before normalization.
        raw_aesthetic: of the aesthetic branch before normalization.
    """

    overall: float
    technical: float
    aesthetic: float
    raw_technical: float
    raw_aesthetic: float


@dataclass(frozen=True)
class DoverPreset:
    """A convention.

    Args:
        technical: mean and standard deviation that normalize the technical
            branch.
        aesthetic: mean and standard deviation that normalize the aesthetic
            branch.
        share: weight of the technical branch in the sum, in 0..1.
        peak: best overall score.
        grid_of_original: cut frames that are enlarged, because a side is
            below 224, on the grid of their original size. The network then
            sees only the upper left part, as in the official code.
    """

    technical: tuple[float, float]
    aesthetic: tuple[float, float]
    share: float = 0.6104
    peak: float = 1.0
    grid_of_original: bool = True


# Constants of the official code, fitted to LIVE-VQC. Since August 2023 it has
# them on the wrong branches; before that, one of its two scripts had the
# weights on the wrong branches.
_LOW, _HIGH = (-0.08285, 0.03774), (0.1107, 0.07355)
PRESETS = {
    'official': DoverPreset(_HIGH, _LOW),
    'official_pre202308': DoverPreset(_LOW, _HIGH, share=0.3896),
    'livevqc_corrected': DoverPreset(_LOW, _HIGH, grid_of_original=False),
    # fitted by EvalCrafter's authors to generated videos
    'evalcrafter': DoverPreset((-0.0758, 0.0129), (0.1253, 0.0318)),
    'technical_x100': DoverPreset(_HIGH, _LOW, share=1.0, peak=100.0),
}


@dataclass(frozen=True)
class ViewPlan:
    """Random positions and frames of the views of a clip.

    Args:
        rows: pixels by which each fragment is moved down in its cell,
            (7, 7, 3): row and column of the cell, pass.
        columns: pixels by which each fragment is moved right, (7, 7, 3).
        technical: indices of the frames of the three passes, (3, 32).
        aesthetic: indices of the frames, (32,).
    """

    rows: Tensor
    columns: Tensor
    technical: Tensor
    aesthetic: Tensor


def dover(
    network: DOVERNetwork,
    clip: Tensor,
    preset: str = 'official',
    seed: int = 0,
    repeats: int = 1,
    antialias: bool = False,
) -> float:
    """Return the overall score of `dover_scores`, which has the arguments."""
    scores = dover_scores(network, clip, preset, seed, repeats, antialias)
    return scores.overall


@torch.no_grad()
def dover_scores(
    network: DOVERNetwork,
    clip: Tensor,
    preset: str = 'official',
    seed: int = 0,
    repeats: int = 1,
    antialias: bool = False,
) -> DoverScores:
    """Score a clip.

    Args:
        network: from `load_dover`.
        clip: (T, 3, H, W) uint8 RGB, sides of 32 at least.
        preset: one of `PRESETS`.
        seed: of the fragments' positions, and of the frames if the clip has
            more than 127, >= 0.
        repeats: number of seeds, from `seed` on, that the raw scores are
            averaged over.
        antialias: smooth frames before they are made small. The network was
            trained without smoothing; the official code smooths with
            torchvision 0.17 and later.

    Raises:
        ValueError: no clip, frames too small, or a wrong option.
    """
    check_fragments(clip, 'DOVER', seed, repeats)
    check_choice('preset', preset, PRESETS)
    convention = PRESETS[preset]
    technical, aesthetic = [], []
    known: dict[tuple[int, ...], float] = {}  # equal frames, equal score
    for i in range(repeats):
        plan = plan_views(clip, torch.Generator().manual_seed(seed + i))
        view = technical_view(clip, plan, convention.grid_of_original)
        technical.append(mean_score(network.score_technical, view))
        frames = tuple(plan.aesthetic.tolist())
        if frames not in known:
            view = aesthetic_view(clip, plan, antialias)
            known[frames] = mean_score(network.score_aesthetic, view)
        aesthetic.append(known[frames])
    return fuse(sum(technical) / repeats, sum(aesthetic) / repeats, preset)


def fuse(
    raw_technical: float, raw_aesthetic: float, preset: str = 'official'
) -> DoverScores:
    """Combine the two branches.

    Each is normalized by a mean and a standard deviation; the sigmoid of
    their weighted sum is the score.

    Args:
        raw_technical: mean of the technical branch's map.
        raw_aesthetic: mean of the aesthetic branch's map.
        preset: one of `PRESETS`.

    Raises:
        ValueError: unknown `preset`.
    """
    check_choice('preset', preset, PRESETS)
    convention = PRESETS[preset]
    t, a = (
        (raw - mean) / std
        for raw, (mean, std) in (
            (raw_technical, convention.technical),
            (raw_aesthetic, convention.aesthetic),
        )
    )
    mixed = convention.share * t + (1 - convention.share) * a
    return DoverScores(
        convention.peak * sigmoid(mixed),
        sigmoid(t),
        sigmoid(a),
        raw_technical,
        raw_aesthetic,
    )


def plan_views(clip: Tensor, generator: torch.Generator) -> ViewPlan:
    """Draw the positions of the fragments and the frames of both views.

    Positions are drawn first, so that they equal those of the official code
    after `torch.manual_seed`.

    Args:
        clip: (T, 3, H, W).
        generator: on the CPU.
    """
    rows, columns = draw_offsets(
        (clip.shape[-2], clip.shape[-1]), _CLIPS, generator
    )
    return ViewPlan(
        rows,
        columns,
        sample_frames(len(clip), _CLIPS, _FRAMES, generator),
        sample_frames(len(clip), _FRAMES, 1, generator).flatten(),
    )


def sample_frames(
    num_frames: int, parts: int, length: int, generator: torch.Generator
) -> Tensor:
    """Choose frames, every second one, from equal parts of a clip.

    Each part starts at a random frame if it has more frames than are taken.
    Indices beyond the last frame wrap around to the first.

    Args:
        num_frames: of the clip, >= 1.
        parts: number of equal parts.
        length: frames taken from each part.
        generator: on the CPU.

    Returns:
        Indices, (parts, length) int64.
    """
    step = num_frames // parts
    starts = step * torch.arange(parts)
    starts += draw_integers(step - length * _INTERVAL, (parts,), generator)
    return (starts[:, None] + _INTERVAL * torch.arange(length)) % num_frames


def technical_view(
    clip: Tensor, plan: ViewPlan, grid_of_original: bool = True
) -> Tensor:
    """Splice fragments that are cut from frames at full resolution.

    Args:
        clip: (T, 3, H, W) uint8, sides of 32 at least.
        plan: see `plan_views`.
        grid_of_original: see `DoverPreset`.

    Returns:
        (3, 3, 32, 224, 224) float, normalized: passes, then channels.
    """
    passes = [
        splice(
            clip,
            plan.technical[i],
            plan.rows[..., i],
            plan.columns[..., i],
            grid_of_original,
        )
        for i in range(_CLIPS)
    ]
    return torch.stack(passes)


def aesthetic_view(
    clip: Tensor, plan: ViewPlan, antialias: bool = False
) -> Tensor:
    """Resize whole frames to squares, whatever their aspect ratio.

    Args:
        clip: (T, 3, H, W) uint8.
        plan: see `plan_views`.
        antialias: see `dover_scores`.

    Returns:
        (1, 3, 32, 224, 224) float, normalized.
    """
    distinct, inverse = plan.aesthetic.unique(return_inverse=True)
    frames = [resize_frame(clip[i], antialias) for i in distinct.tolist()]
    return normalize(torch.stack(frames)[inverse])[None]


def resize_frame(frame: Tensor, antialias: bool = False) -> Tensor:
    """Resize to 224 x 224, bilinear, rounded to whole numbers.

    Args:
        frame: (3, H, W) uint8.
        antialias: see `dover_scores`.
    """
    if frame.shape[-2:] == (SIZE, SIZE):
        return frame
    small = F.interpolate(
        frame[None].float(),
        size=(SIZE, SIZE),
        mode='bilinear',
        align_corners=False,
        antialias=antialias,
    )
    return small[0].round().to(torch.uint8)
