"""Decodes a random window of each clip, for losses on pixels."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from star.models.draws import Draws


@dataclass(frozen=True)
class DecodeWindow:
    """The part of each clip that is decoded for losses on pixels.

    It fills memory in the backward pass: the decoder of Stable Video
    Diffusion takes some 40 kB per pixel and frame in float32.

    Attributes:
        num_frames: consecutive frames, at a random place; None for all.
        crop_size: height and width in pixels of a random crop, multiples of
            the autoencoder's factor; None for whole frames. A clip that is
            smaller is taken whole.
        margin: latents around the crop that are decoded with it and then cut
            off, so that the decoder sees what borders on the crop.
        checkpointing: decode once more in the backward pass, to save memory.

    Raises:
        ValueError: a number is out of range.
    """

    num_frames: int | None = None
    crop_size: tuple[int, int] | None = None
    margin: int = 0
    checkpointing: bool = True

    def __post_init__(self) -> None:
        if self.num_frames is not None and self.num_frames < 1:
            raise ValueError(
                f'`num_frames` must be at least 1, got {self.num_frames}'
            )
        if self.margin < 0:
            raise ValueError(
                f'`margin` must not be negative, got {self.margin}'
            )
        size = self.crop_size
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(
                f'`crop_size` must be a positive height and width, got {size}'
            )


def decode_windows(
    autoencoder: Any,
    z: Tensor,
    gt: Tensor,
    draws: list[Draws],
    window: DecodeWindow,
) -> tuple[Tensor, Tensor]:
    """Decode one window of every clip.

    Args:
        autoencoder: may be frozen; the gradient passes through.
        z: latents, (N, C, T, h, w).
        gt: the clips they stand for, (N, 3, T, H, W).
        draws: of each clip.
        window: its size.

    Returns:
        The decoded windows and the same windows of `gt`.

    Raises:
        ValueError: `crop_size` is no multiple of the autoencoder's factor.
    """
    factor = autoencoder.downsample
    height, width = _latent_size(window.crop_size, factor)
    pieces, targets, inner = [], [], []
    for latent, clip, draw in zip(z, gt, draws, strict=True):
        time = draw.span(latent.shape[1], window.num_frames)
        rows = draw.span(latent.shape[2], height, window.margin)
        columns = draw.span(latent.shape[3], width, window.margin)
        (y, inner_y), (x, inner_x) = (
            rows.pixels(factor),
            columns.pixels(factor),
        )
        pieces.append(latent[:, time.decoded, rows.decoded, columns.decoded])
        targets.append(clip[:, time.decoded, y, x])
        inner.append((slice(None), slice(None), inner_y, inner_x))
    decoded = _decode(autoencoder, torch.stack(pieces), window.checkpointing)
    kept = [x[part] for x, part in zip(decoded, inner, strict=True)]
    return torch.stack(kept), torch.stack(targets)


def _decode(autoencoder: Any, z: Tensor, checkpointing: bool) -> Tensor:
    if checkpointing and torch.is_grad_enabled():
        return checkpoint(autoencoder.decode, z, use_reentrant=False)
    return autoencoder.decode(z)


def _latent_size(
    crop_size: tuple[int, int] | None, factor: int
) -> tuple[int | None, int | None]:
    if crop_size is None:
        return None, None
    height, width = crop_size
    if height % factor or width % factor:
        raise ValueError(
            f'`crop_size` must be made of multiples of {factor}, got '
            f'{height} x {width}'
        )
    return height // factor, width // factor
