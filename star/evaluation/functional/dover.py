"""DOVER, Wu et al. 2023: technical and aesthetic quality of a clip.

Views and fusion follow the official code: the technical branch sees 3 x 32
frames of fragments, the aesthetic branch 32 small frames, and the score is the
sigmoid of a weighted sum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp

import torch
from torch import Tensor
from torch.nn import functional as F

from star.evaluation.functional.clips import check_clip
from star.evaluation.networks.dover import DOVERNetwork

_FRAMES = 32  # of one pass through the network
_CLIPS = 3  # passes of the technical branch
_INTERVAL = 2
_GRID = 7  # fragments along each side
_SIDE = 32  # of a fragment, in pixels
_SIZE = _GRID * _SIDE
_MEAN = (123.675, 116.28, 103.53)
_STD = (58.395, 57.12, 57.375)


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
    _check(clip, preset, seed, repeats)
    convention = PRESETS[preset]
    technical, aesthetic = [], []
    known: dict[tuple[int, ...], float] = {}  # equal frames, equal score
    for i in range(repeats):
        plan = plan_views(clip, torch.Generator().manual_seed(seed + i))
        view = technical_view(clip, plan, convention.grid_of_original)
        technical.append(_mean(network.score_technical, view))
        frames = tuple(plan.aesthetic.tolist())
        if frames not in known:
            view = aesthetic_view(clip, plan, antialias)
            known[frames] = _mean(network.score_aesthetic, view)
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
    _check_preset(preset)
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
        convention.peak * _sigmoid(mixed),
        _sigmoid(t),
        _sigmoid(a),
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
    rows, columns = (
        _integers(side // _GRID - _SIDE, (_GRID, _GRID, _CLIPS), generator)
        for side in clip.shape[-2:]
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
    starts += _integers(step - length * _INTERVAL, (parts,), generator)
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
    return torch.stack(
        [_splice(clip, plan, i, grid_of_original) for i in range(_CLIPS)]
    )


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
    return _normalize(torch.stack(frames)[inverse])[None]


def resize_frame(frame: Tensor, antialias: bool = False) -> Tensor:
    """Resize to 224 x 224, bilinear, rounded to whole numbers.

    Args:
        frame: (3, H, W) uint8.
        antialias: see `dover_scores`.
    """
    if frame.shape[-2:] == (_SIZE, _SIZE):
        return frame
    small = F.interpolate(
        frame[None].float(),
        size=(_SIZE, _SIZE),
        mode='bilinear',
        align_corners=False,
        antialias=antialias,
    )
    return small[0].round().to(torch.uint8)


def cell_origins(side: int) -> list[int]:
    """Compute where the cells begin that fragments are cut from.

    Args:
        side: height or width of a frame, >= 32.

    Returns:
        Seven positions, at most `side` - 32.
    """
    return [min(side // _GRID * i, side - _SIDE) for i in range(_GRID)]


def _splice(clip: Tensor, plan: ViewPlan, i: int, old_grid: bool) -> Tensor:
    """Splice the frames of one pass, (3, 32, 224, 224) normalized."""
    frames = plan.technical[i]
    grid = clip.shape[-2:]
    if min(grid) < _SIZE:
        clip = torch.stack([_enlarge(clip[t]) for t in frames.tolist()])
        frames = torch.arange(len(frames))
        grid = grid if old_grid else clip.shape[-2:]
    view = clip.new_empty(len(frames), 3, _SIZE, _SIZE)
    for j, top in enumerate(cell_origins(grid[0])):
        for k, left in enumerate(cell_origins(grid[1])):
            y = top + int(plan.rows[j, k, i])
            x = left + int(plan.columns[j, k, i])
            # cut before frames are chosen, so that no whole frame is copied
            cut = clip[..., y : y + _SIDE, x : x + _SIDE][frames]
            view[..., _cell(j), _cell(k)] = cut
    return _normalize(view)


def _cell(i: int) -> slice:
    return slice(i * _SIDE, (i + 1) * _SIDE)


def _enlarge(frame: Tensor) -> Tensor:
    """Enlarge until the shorter side is 224; truncate fractions."""
    scale = 1 / min(side / _SIZE for side in frame.shape[-2:])
    # colours as a batch, to round as the official code does, to the last bit
    large = F.interpolate(
        frame[:, None] / 255, scale_factor=scale, mode='bilinear'
    )
    return (large[:, 0] * 255).to(torch.uint8)


def _mean(score: Callable[[Tensor], Tensor], view: Tensor) -> float:
    """Average the scores of all passes and positions.

    Passes go through the network one after the other to bound the memory.
    """
    maps = [score(clips[None]) for clips in view]
    return torch.stack(maps).double().mean().item()


def _normalize(frames: Tensor) -> Tensor:
    """Convert (T, 3, H, W) uint8 to (3, T, H, W) float, normalized."""
    mean, std = (torch.tensor(x).view(3, 1, 1, 1) for x in (_MEAN, _STD))
    return (frames.movedim(1, 0) - mean) / std


def _integers(
    below: int, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Draw integers from 0 on; if only 0 is possible, draw nothing."""
    if below <= 0:
        return torch.zeros(shape, dtype=torch.int64)
    return torch.randint(below, shape, generator=generator)


def _sigmoid(x: float) -> float:
    # the form that does not overflow
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def _check(clip: Tensor, preset: str, seed: int, repeats: int) -> None:
    check_clip(clip, 'clip')
    _check_preset(preset)
    if min(clip.shape[-2:]) < _SIDE:
        raise ValueError(
            f'`clip` must have sides of {_SIDE} at least for DOVER, got '
            f'{clip.shape[-2]}x{clip.shape[-1]}'
        )
    for name, value, least in (('seed', seed, 0), ('repeats', repeats, 1)):
        if value < least:
            raise ValueError(f'`{name}` must be at least {least}, got {value}')


def _check_preset(preset: str) -> None:
    if preset not in PRESETS:
        raise ValueError(
            f'`preset` must be one of {", ".join(PRESETS)}, got {preset!r}'
        )
