"""Sizes in a restoration: of the frames, their padding and their tiles."""

from dataclasses import dataclass

import torch
from torch import Tensor

from star.models.contracts import Autoencoder, Backbone
from star.models.data_preprocessor import check_frame
from star.models.restoration.options import RestoreOptions
from star.video.padding import (
    crop,
    official_padding,
    pad_amount,
    pad_official,
    pad_replicate,
)
from star.video.tiling import Tile, both_axes, plan_tiles


@dataclass(frozen=True)
class FramePlan:
    """Sizes of a frame on the way to the networks and back.

    Attributes:
        output_size: height and width of the output.
        size: height and width of the restored frame; another than
            `output_size` where the backbone was trained for one scale only.
        padding: pixels that are added: left, right, top, bottom.
        latent_size: rows and columns of a padded frame's latent.
        tiles: of the latent; one where there are no tiles.
        white: pad with white, as the official code does.
    """

    output_size: tuple[int, int]
    size: tuple[int, int]
    padding: tuple[int, int, int, int]
    latent_size: tuple[int, int]
    tiles: list[Tile]
    white: bool

    def pad(self, x: Tensor) -> Tensor:
        """Pad frames (..., H, W) to a size that the network accepts."""
        if self.white:
            return pad_official(x)
        _, right, _, bottom = self.padding
        return pad_replicate(x, bottom, right)

    def crop(self, x: Tensor) -> Tensor:
        """Cut the padding off frames (..., H, W) again."""
        left, _, top, _ = self.padding
        return crop(x, *self.size, top, left)


def plan_frames(
    frame: Tensor,
    options: RestoreOptions,
    autoencoder: Autoencoder,
    backbone: Backbone,
) -> FramePlan:
    """Work out all sizes from a frame.

    Args:
        frame: of the input, (3, h, w) uint8 or uint16.
        options: of the restoration.
        autoencoder: of the model.
        backbone: of the model.

    Raises:
        ValueError: `frame` has another shape, `scale` makes it vanish, or
            the tiles do not fit.
    """
    check_frame(frame)
    output_size = scaled_size(frame, options.scale)
    scale = backbone.limits.scale
    size = output_size if scale is None else scaled_size(frame, scale)
    white = options.compat == 'official'
    side = autoencoder.downsample
    padding = (
        official_padding(*size) if white else _padding(size, side, backbone)
    )
    left, right, top, bottom = padding
    latent_size = (
        (size[0] + top + bottom) // side,
        (size[1] + left + right) // side,
    )
    tiles = _plan_tiles(latent_size, options, side, backbone)
    return FramePlan(output_size, size, padding, latent_size, tiles, white)


def scaled_size(frame: Tensor, scale: float) -> tuple[int, int]:
    """Return height and width of a frame after scaling.

    Args:
        frame: of the input, (..., h, w).
        scale: output size over input size.

    Raises:
        ValueError: nothing would be left of the frame.
    """
    height, width = frame.shape[-2:]
    size = (round(height * scale), round(width * scale))
    if min(size) < 1:
        raise ValueError(f'`scale` {scale} makes {width}x{height} vanish')
    return size


def _padding(
    size: tuple[int, int], side: int, backbone: Backbone
) -> tuple[int, int, int, int]:
    rows, columns = (side * m for m in backbone.size_multiple)
    more_rows, more_columns = (side * r for r in backbone.size_remainder)
    bottom, right = pad_amount(
        *size, (rows, columns), (more_rows, more_columns)
    )
    return 0, right, 0, bottom


def _plan_tiles(
    latent_size: tuple[int, int],
    options: RestoreOptions,
    side: int,
    backbone: Backbone,
) -> list[Tile]:
    height, width = latent_size
    tile, overlap = options.tile, options.tile_overlap
    if not tile:
        return [Tile(0, height, 0, width, torch.ones(height, width))]
    rows, columns = both_axes(tile)
    try:
        return plan_tiles(
            height,
            width,
            (rows // side, columns // side),
            overlap // side,
            backbone.size_multiple,
            backbone.size_remainder,
        )
    except ValueError as error:
        raise ValueError(
            f'`tile` {tile} does not fit `tile_overlap` {overlap} and the '
            f'network; in latents of {side} pixels: {error}'
        ) from error
