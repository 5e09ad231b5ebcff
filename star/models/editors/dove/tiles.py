"""Tiles of padded frames, and their part of the frames' noise."""

from dataclasses import replace

import torch
from torch import Tensor

from star.models.editors.dove.geometry import MULTIPLE
from star.models.restoration.noise import FrameNoise
from star.models.restoration.options import RestoreOptions
from star.video.tiling import Tile, cut_tile, plan_tiles

_LATENT_FRAMES = 4


def plan_pixel_tiles(
    size: tuple[int, int], options: RestoreOptions
) -> list[Tile]:
    """Plan tiles that begin and end on whole tokens.

    Args:
        size: height and width of the frames, multiples of `MULTIPLE`.
        options: of the restoration.
    """
    multiple = (MULTIPLE, MULTIPLE)
    if not options.tile:
        return plan_tiles(*size, max(size), 0, multiple)
    return plan_tiles(*size, options.tile, shared_pixels(options), multiple)


def shared_pixels(options: RestoreOptions) -> int:
    """Round the overlap of tiles up to whole tokens."""
    return -(-options.tile_overlap // MULTIPLE) * MULTIPLE


def draw_noise(
    noise: FrameNoise, number: int, shape: tuple[int, ...], count: int
) -> Tensor:
    """Draw the noise of latents that stand for four frames each.

    Args:
        noise: of the frames.
        number: of the draw.
        shape: channels, height and width of the frames' latents.
        count: latents.

    Returns:
        (count, *shape) float32 on the CPU.
    """
    starts = (noise.start + _LATENT_FRAMES * i for i in range(count))
    drawn = [replace(noise, start=s).draw(number, 1, shape) for s in starts]
    return torch.cat(drawn)


def cut_noise(noise: Tensor, tile: Tile, side: int) -> Tensor:
    """Cut a tile's noise, (1, C, T, h, w), out of the whole frames'.

    Args:
        noise: from `draw_noise`.
        tile: in pixels.
        side: pixels of a latent's side.
    """
    return cut_tile(noise, tile, down=side).transpose(0, 1)[None]
