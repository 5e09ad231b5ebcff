"""Overlapping tiles whose weights are Gaussians, not ramps.

They are merged by `star.video.tiling.stitch_tiles`.
"""

import torch
from torch import Tensor

from star.video.tiling import Tile, TileSize, plan_tiles, reweigh_tiles

_VARIANCE = 0.01  # of the Gaussian, in sides of a tile squared


def gaussian_weight(height: int, width: int) -> Tensor:
    """Compute the weight of a tile's pixels, 1 at most.

    As in the official codes of StableSR and MGLD-VSR, the centre is that of
    the tile along x, but half a pixel below it along y.

    Args:
        height: rows of the tile.
        width: its columns.

    Returns:
        (height, width) float64.
    """
    rows = _gaussian(height, height / 2)
    columns = _gaussian(width, (width - 1) / 2)
    return rows[:, None] * columns


def plan_gaussian_tiles(
    height: int,
    width: int,
    size: TileSize,
    overlap: TileSize,
    multiple: tuple[int, int] = (1, 1),
) -> list[Tile]:
    """Cover a frame with tiles of one size whose weights sum to 1.

    Tiles begin every `size` - `overlap` pixels, and the last one ends with
    the frame.

    Args:
        height: rows of the frame.
        width: columns of the frame.
        size: as for `plan_tiles`: an axis that is no longer has one tile.
        overlap: as for `plan_tiles`.
        multiple: as for `plan_tiles`.

    Raises:
        ValueError: as for `plan_tiles`.
    """
    tiles = plan_tiles(height, width, size, overlap, multiple)
    return reweigh_tiles(tiles, gaussian_weight)


def _gaussian(size: int, centre: float) -> Tensor:
    place = torch.arange(size, dtype=torch.float64, device='cpu')
    return torch.exp(-((place - centre) / size).square() / (2 * _VARIANCE))
