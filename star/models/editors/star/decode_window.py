"""Decoding of a random window of each clip, for losses on pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from star.models.contracts import Autoencoder
from star.models.editors.star.random_state import ClipRandom
from star.utils.checks import check_least


@dataclass(frozen=True)
class DecodeWindow:
    """Size of the random window of each clip that is decoded.

    Decoding takes memory in the backward pass: about 40 kB per pixel and
    frame in float32 for the decoder of Stable Video Diffusion.

    Attributes:
        num_frames: consecutive frames; None for all. For latents of several
            frames, a multiple of their number.
        crop_size: height and width in pixels of a random crop, multiples of
            the autoencoder's factor; None for whole frames. A smaller clip
            is decoded whole.
        margin: latents around the crop that are decoded as context and then
            cut off. For latents of several frames also that many before the
            window in time, and at least one.
        checkpointing: decode again in the backward pass, to save memory.

    Raises:
        ValueError: a number is out of range.
    """

    num_frames: int | None = None
    crop_size: tuple[int, int] | None = None
    margin: int = 0
    checkpointing: bool = True

    def __post_init__(self) -> None:
        if self.num_frames is not None:
            check_least('num_frames', self.num_frames, 1)
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
    autoencoder: Autoencoder,
    z: Tensor,
    gt: Tensor,
    random: list[ClipRandom],
    window: DecodeWindow,
) -> tuple[Tensor, Tensor]:
    """Decode one window of every clip.

    Args:
        autoencoder: may be frozen; the gradient passes through.
        z: latents, (N, C, T, h, w).
        gt: the clips they stand for, (N, 3, T, H, W).
        random: of each clip.
        window: its size.

    Returns:
        The decoded windows and the same windows of `gt`.

    Raises:
        ValueError: `crop_size` or `num_frames` is no multiple of the
            autoencoder's factor.
    """
    factor = autoencoder.downsample
    height, width = _latent_size(window.crop_size, factor)
    pieces, targets, inner = [], [], []
    for latent, clip, source in zip(z, gt, random, strict=True):
        time, frames, inner_time = _draw_time(
            source, latent.shape[1], window, autoencoder.temporal_downsample
        )
        rows = source.crop(latent.shape[2], height, window.margin)
        columns = source.crop(latent.shape[3], width, window.margin)
        (y, inner_y), (x, inner_x) = (
            rows.pixels(factor),
            columns.pixels(factor),
        )
        pieces.append(latent[:, time, rows.decoded, columns.decoded])
        targets.append(clip[:, frames, y, x])
        inner.append((slice(None), inner_time, inner_y, inner_x))
    decoded = _decode(autoencoder, torch.stack(pieces), window.checkpointing)
    kept = [x[where] for x, where in zip(decoded, inner, strict=True)]
    return torch.stack(kept), torch.stack(targets)


def _draw_time(
    source: ClipRandom, length: int, window: DecodeWindow, ratio: int
) -> tuple[slice, slice, slice]:
    """Draw which latents are decoded, and which frames that gives.

    For latents of `ratio` frames the first decoded latent stands for one
    frame: it is only context and is cut off. The first frame of a clip, with
    a latent of its own, is therefore kept in whole clips only.

    Returns:
        The decoded latents; the kept frames within the clip; the kept frames
        within the decoded ones.
    """
    wanted, frames = window.num_frames, 1 + (length - 1) * ratio
    if ratio == 1 or wanted is None or wanted >= frames:
        time = source.crop(length, wanted).decoded
        return time, time if ratio == 1 else slice(None), slice(None)
    if wanted % ratio:
        raise ValueError(
            f'`num_frames` must be a multiple of {ratio}, got {wanted}'
        )
    count, before = wanted // ratio, max(1, window.margin)
    first = 1 + source.integer(length - count)
    decoded = min(before + count, length)  # one size for the whole batch
    start = max(first - before, 0)
    return (
        slice(start, start + decoded),
        _frames(first, count, ratio),
        _frames(first - start, count, ratio),
    )


def _frames(first: int, count: int, ratio: int) -> slice:
    """Return the frames of `count` latents, after one of a single frame."""
    start = 1 + (first - 1) * ratio
    return slice(start, start + count * ratio)


def _decode(
    autoencoder: Autoencoder, z: Tensor, checkpointing: bool
) -> Tensor:
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
            f'`crop_size` must have multiples of {factor}, got '
            f'{height} x {width}'
        )
    return height // factor, width // factor
