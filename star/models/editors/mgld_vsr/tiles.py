"""Tiles of pixels, and where they lie among the latents of the motion."""

from dataclasses import dataclass

import torch

from star.models.editors.mgld_vsr.flows import LATENT
from star.video.tiling import (
    Tile,
    TileSize,
    both_axes,
    plan_tiles,
    reweigh_tiles,
)


@dataclass(frozen=True)
class PixelTile:
    """A tile that is restored by itself.

    Args:
        pixels: the tile of the enlarged frame.
        top: its first row in the frame's latents.
        left: its first column there.
        size: its rows and columns there.
    """

    pixels: Tile
    top: int
    left: int
    size: tuple[int, int]


def plan_pixel_tiles(
    size: tuple[int, int],
    tile: TileSize,
    overlap: int,
    official: bool = False,
) -> list[PixelTile]:
    """Cover a frame with tiles.

    Args:
        size: height and width of the frame, multiples of `LATENT`.
        tile: side of a tile in pixels, or height and width; 0 for one tile.
        overlap: pixels that neighbours share.
        official: do not align tiles to latents. Those of the motion begin
            at whole latents, however, so that some lie up to two latents
            aside. Tiles overlap as plain means, not with ramps.

    Returns:
        Tiles row by row. Unless `official`, sides and overlaps are multiples
        of `LATENT`.
    """
    given = both_axes(tile)
    sides = [side or max(size) for side in given]
    strides = [side - overlap if side else max(size) for side in given]
    if not official:
        sides, strides = (
            [max(n // LATENT, 1) * LATENT for n in row]
            for row in (sides, strides)
        )
    overlaps = sides[0] - strides[0], sides[1] - strides[1]
    tiles = plan_tiles(*size, (sides[0], sides[1]), overlaps)
    if official:
        tiles = reweigh_tiles(tiles, torch.ones)
    return [_locate(found, size, strides) for found in tiles]


def _locate(
    tile: Tile, size: tuple[int, int], strides: list[int]
) -> PixelTile:
    height, width = tile.bottom - tile.top, tile.right - tile.left
    return PixelTile(
        tile,
        _latent_start(tile.top, size[0] - height, strides[0]),
        _latent_start(tile.left, size[1] - width, strides[1]),
        (height // LATENT, width // LATENT),
    )


def _latent_start(start: int, last: int, stride: int) -> int:
    if start == last:
        return last // LATENT
    return start // stride * (stride // LATENT)
