"""Fragments, Wu et al. 2022: small pieces of frames at full resolution.

DOVER's technical branch and FasterVQA see frames that are spliced from them.
"""

from collections.abc import Callable
from math import exp

import torch
from torch import Tensor
from torch.nn import functional as F

from star.evaluation.functional.clips import check_clip
from star.utils.checks import check_least

GRID = 7  # fragments along each side
SIDE = 32  # of a fragment, in pixels
SIZE = GRID * SIDE
_MEAN = (123.675, 116.28, 103.53)
_STD = (58.395, 57.12, 57.375)


def draw_offsets(
    size: tuple[int, int], count: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw by how many pixels each fragment is moved in its cell.

    Args:
        size: height and width of the frames.
        count: number of times that all positions are drawn.
        generator: on the CPU.

    Returns:
        Down and right, (7, 7, count) each: row and column of the cell.
    """
    shape = (GRID, GRID, count)
    rows, columns = (
        draw_integers(side // GRID - SIDE, shape, generator) for side in size
    )
    return rows, columns


def draw_integers(
    below: int, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Draw integers from 0 on; if only 0 is possible, draw nothing."""
    if below <= 0:
        return torch.zeros(shape, dtype=torch.int64)
    return torch.randint(below, shape, generator=generator)


def cell_origins(side: int) -> list[int]:
    """Compute where the cells begin that fragments are cut from.

    Args:
        side: height or width of a frame, >= 32.

    Returns:
        Seven positions, at most `side` - 32.
    """
    return [min(side // GRID * i, side - SIDE) for i in range(GRID)]


def splice(
    clip: Tensor,
    frames: Tensor,
    rows: Tensor,
    columns: Tensor,
    grid_of_original: bool = True,
) -> Tensor:
    """Splice frames from fragments that all lie at the same positions.

    Args:
        clip: (T, 3, H, W) uint8, sides of 32 at least. Frames with a side
            below 224 are enlarged.
        frames: indices of the frames, (L,).
        rows: by how many pixels each fragment is moved down, (7, 7).
        columns: by how many each is moved right, (7, 7).
        grid_of_original: cut enlarged frames on the grid of their original
            size, as the official codes do.

    Returns:
        (3, L, 224, 224) float, normalized.
    """
    grid = clip.shape[-2:]
    if min(grid) < SIZE:
        clip = torch.stack([_enlarge(clip[t]) for t in frames.tolist()])
        frames = torch.arange(len(frames))
        grid = grid if grid_of_original else clip.shape[-2:]
    view = clip.new_empty(len(frames), 3, SIZE, SIZE)
    for j, top in enumerate(cell_origins(grid[0])):
        for k, left in enumerate(cell_origins(grid[1])):
            y, x = top + int(rows[j, k]), left + int(columns[j, k])
            # cut before frames are chosen, so that no whole frame is copied
            cut = clip[..., y : y + SIDE, x : x + SIDE][frames]
            view[..., _cell(j), _cell(k)] = cut
    return normalize(view)


def normalize(frames: Tensor) -> Tensor:
    """Convert (T, 3, H, W) uint8 to (3, T, H, W) float, normalized."""
    mean, std = (torch.tensor(x).view(3, 1, 1, 1) for x in (_MEAN, _STD))
    return (frames.movedim(1, 0) - mean) / std


def mean_score(score: Callable[[Tensor], Tensor], views: Tensor) -> float:
    """Average a network's scores of all views and positions.

    Args:
        score: maps clips (1, 3, T, H, W) to scores of any shape. Views go
            through it one after the other to bound the memory.
        views: (N, 3, T, H, W).
    """
    maps = [score(clips[None]) for clips in views]
    return torch.stack(maps).double().mean().item()


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))


def check_fragments(
    clip: Tensor, metric: str, seed: int, repeats: int
) -> None:
    """Refuse what fragments cannot be drawn from.

    Raises:
        ValueError: no clip, frames too small, or a wrong seed or number.
    """
    check_clip(clip, 'clip')
    if min(clip.shape[-2:]) < SIDE:
        raise ValueError(
            f'`clip` must have sides of {SIDE} at least for {metric}, got '
            f'{clip.shape[-2]}x{clip.shape[-1]}'
        )
    check_least('seed', seed)
    check_least('repeats', repeats, 1)


def _cell(i: int) -> slice:
    return slice(i * SIDE, (i + 1) * SIDE)


def _enlarge(frame: Tensor) -> Tensor:
    """Enlarge until the shorter side is 224; truncate fractions."""
    scale = 1 / min(side / SIZE for side in frame.shape[-2:])
    # colours as a batch, to round as the official code does, to the last bit
    large = F.interpolate(
        frame[:, None] / 255, scale_factor=scale, mode='bilinear'
    )
    return (large[:, 0] * 255).to(torch.uint8)
