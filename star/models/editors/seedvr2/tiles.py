"""Tiles in which SeedVR2's autoencoder computes large frames."""

import math

import torch
from torch import Tensor

from star.video.tiling import Tile, TileSize, both_axes

_Span = tuple[int, int]


def plan_vae_tiles(
    size: tuple[int, int], tile: TileSize, overlap: TileSize, unit: int
) -> tuple[list[Tile], list[Tile]]:
    """Cover a frame of latents with tiles that are faded into one another.

    Tiles begin at equal distances. The last one ends with the frame, and is
    left out if the one before covers it.

    Args:
        size: height and width of the frame in latents.
        tile: side of a tile, or height and width, in pixels; 0 for one tile.
        overlap: pixels that neighbours share, or those of rows and columns.
        unit: pixels of a latent's side.

    Returns:
        The tiles in latents and in pixels, row by row; the weights of each
        sum to 1.
    """
    sides, shared = (
        [n // unit for n in both_axes(pixels)] for pixels in (tile, overlap)
    )
    rows, columns = (
        _spans(length, max(side, 1) if tile else 0, least)
        for length, side, least in zip(size, sides, shared, strict=True)
    )
    return _cross(rows, columns, 1), _cross(rows, columns, unit)


def _cross(rows: list[_Span], columns: list[_Span], unit: int) -> list[Tile]:
    return [
        Tile(top, bottom, left, right, down[:, None] * along)
        for (top, bottom), down in _weights(rows, unit)
        for (left, right), along in _weights(columns, unit)
    ]


def _spans(length: int, side: int, overlap: int) -> list[_Span]:
    if not side or side >= length:
        return [(0, length)]
    overlap = min(overlap, side - 1)
    return [
        (start, min(start + side, length))
        for start in range(0, length, side - overlap)
        if start == 0 or length - start > overlap
    ]


def _weights(spans: list[_Span], unit: int) -> list[tuple[_Span, Tensor]]:
    """Weigh spans with cosines over what two of them share."""
    spans = [(start * unit, end * unit) for start, end in spans]
    total, raw = torch.zeros(spans[-1][1]), []
    for i, (start, end) in enumerate(spans):
        weight = torch.ones(end - start)
        if i:
            ramp = _ramp(spans[i - 1][1] - start)
            weight[: len(ramp)] *= ramp
        if i < len(spans) - 1:
            ramp = _ramp(end - spans[i + 1][0])
            weight[len(weight) - len(ramp) :] *= 1 - ramp
        total[start:end] += weight
        raw.append(weight)
    return [
        (span, weight / total[slice(*span)])
        for span, weight in zip(spans, raw, strict=True)
    ]


def _ramp(length: int) -> Tensor:
    """Rise from 0 to 1, both included."""
    return 0.5 - 0.5 * torch.cos(math.pi * torch.linspace(0, 1, length))
