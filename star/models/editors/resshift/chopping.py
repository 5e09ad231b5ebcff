"""Tiles of a frame, as ResShift chops it, and the noise of each."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from star.models.restoration.noise import FrameNoise
from star.models.restoration.options import RestoreOptions
from star.video.tiling import Tile, both_axes, plan_tiles, reweigh_tiles

Draw = Callable[[int], Tensor]
SCALE = 4  # output pixels of an input pixel's, and of a latent's, side


def plan_chops(height: int, width: int, options: RestoreOptions) -> list[Tile]:
    """Plan the tiles of a frame, in output pixels on the grid of the input.

    Tiles lie where the authors' script has them; a tile at the far side is
    moved back. They fade into each other; with `compat='official'` pixels
    are the means of all tiles that have them.

    Args:
        height: rows of the low-quality frame.
        width: columns of it.
        options: of the restoration.

    Returns:
        Tiles row by row; one for a frame that is no larger.
    """
    sides, shared = tile_of(options)
    if not options.tile:
        sides, shared = (height, width), 0
    rows, columns = (SCALE * side for side in sides)
    tiles = plan_tiles(
        SCALE * height, SCALE * width, (rows, columns), SCALE * shared
    )
    official = options.compat == 'official'
    return reweigh_tiles(tiles, torch.ones) if official else tiles


def tile_of(options: RestoreOptions) -> tuple[tuple[int, int], int]:
    """Return a tile's sides and overlap in pixels of the input."""
    height, width = both_axes(options.tile)
    return (height // SCALE, width // SCALE), options.tile_overlap // SCALE


def share_noise(
    tiles: list[Tile], multiple: int, channels: int, noise: FrameNoise
) -> list[Draw]:
    """Let each tile take its part of the whole frame's noise.

    Args:
        tiles: result of `plan_chops`.
        multiple: each tile is padded to multiples of it.
        channels: of a latent.
        noise: of the frame.

    Returns:
        For each tile: number of a draw -> noise of the padded tile's latents,
        (1, channels, h, w). Tiles have the same noise where they overlap.
    """
    places = [_padded_place(tile, multiple) for tile in tiles]
    bottom, right = (max(p[axis].stop for p in places) for axis in (0, 1))

    def cut(place: tuple[slice, slice], number: int) -> Tensor:
        rows, columns = place
        whole = noise.draw(number, 1, (channels, bottom, right))
        return whole[..., rows, columns]

    return [partial(cut, place) for place in places]


def separate_noise(
    tiles: list[Tile],
    multiple: int,
    channels: int,
    noise: FrameNoise,
    draws: int,
) -> list[Draw]:
    """Give each tile noise of its own, as the authors' script does.

    Args:
        tiles: as for `share_noise`.
        multiple: as for `share_noise`.
        channels: as for `share_noise`.
        noise: as for `share_noise`.
        draws: of each tile.

    Returns:
        As `share_noise` does; the first tile's is the same.
    """

    def draw(index: int, shape: tuple[int, ...], number: int) -> Tensor:
        return noise.draw(index * draws + number, 1, shape)

    found: list[Draw] = []
    for index, tile in enumerate(tiles):
        place = _padded_place(tile, multiple)
        rows, columns = (side.stop - side.start for side in place)
        found.append(partial(draw, index, (channels, rows, columns)))
    return found


def _padded_place(tile: Tile, multiple: int) -> tuple[slice, slice]:
    """Return the rows and columns of a tile's latents with its padding."""
    edges = (tile.top, tile.bottom, tile.left, tile.right)
    top, bottom, left, right = (edge // SCALE for edge in edges)
    rows, columns = (
        -(-(last - first) // multiple) * multiple
        for first, last in ((top, bottom), (left, right))
    )
    return slice(top, top + rows), slice(left, left + columns)
