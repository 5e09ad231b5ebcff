"""Layers of image networks, run on clips whose frames share their norms.

Frames are the batch, (N T) with the T frames of a clip in a row. A group norm
of a network that was inflated from images pools over all frames of a clip, so
its statistics are gathered first, and the layers then work through the frames
in pieces: no normed copy of a whole clip is in memory. For inference: results
overwrite what is no longer needed.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PIECE = 1 << 26  # numbers of a normed piece


def split_frames(x: Tensor, most: int = _PIECE) -> Iterator[slice]:
    """Cut a batch of frames into pieces of at most `most` numbers."""
    step = max(1, most // x[0].numel())
    for start in range(0, len(x), step):
        yield slice(start, start + step)


def gather_affine(
    norm: nn.GroupNorm, x: Tensor, frames: int
) -> tuple[Tensor, Tensor]:
    """Compute what a group norm over whole clips does to each channel.

    Args:
        norm: has weights and biases.
        x: (N T, C, h, w).
        frames: T.

    Returns:
        Factor and summand of each frame's channels, (N T, C, 1, 1) float32
        or finer.
    """
    found = []
    for piece in split_frames(x):
        groups = _fine(x[piece]).reshape(-1, norm.num_groups, _size(x, norm))
        found.append(torch.stack(torch.var_mean(groups, 2, correction=0)))
    moments = torch.cat(found, 1).unflatten(1, (-1, frames))
    variance, mean = moments[0].mean(1), moments[1].mean(1)
    # frames have as many numbers each: the spread of their means adds up
    variance = variance + moments[1].var(1, correction=0)
    wide = x.shape[1] // norm.num_groups
    scale = (variance + norm.eps).rsqrt().repeat_interleave(wide, 1)
    scale = scale * _fine(norm.weight)
    shift = _fine(norm.bias) - mean.repeat_interleave(wide, 1) * scale
    scale, shift = (
        y.repeat_interleave(frames, 0)[:, :, None, None]
        for y in (scale, shift)
    )
    return scale, shift


def norm_clips(norm: nn.GroupNorm, x: Tensor, frames: int) -> Tensor:
    """Apply a group norm over whole clips, and SiLU.

    Args:
        norm: the layer.
        x: (N T, C, h, w).
        frames: T.
    """
    affine = gather_affine(norm, x, frames)
    parts = [_act(x[p], affine, p).to(x.dtype) for p in split_frames(x)]
    return torch.cat(parts)


def norm_conv(
    norm: nn.GroupNorm,
    conv: nn.Module,
    x: Tensor,
    frames: int,
    reuse: bool = False,
) -> Tensor:
    """Apply a group norm over whole clips, SiLU, and a layer to each frame.

    Args:
        norm: the group norm.
        conv: maps frames, (n, C, h, w), to frames.
        x: (N T, C, h, w).
        frames: T.
        reuse: write the result into `x`; `conv` keeps the shape.
    """
    affine = gather_affine(norm, x, frames)
    out = x if reuse else None
    for piece in split_frames(x):
        done = conv(_act(x[piece], affine, piece).to(x.dtype))
        if out is None:
            out = done.new_empty(len(x), *done.shape[1:])
        out[piece] = done
    assert out is not None
    return out


def run_frames(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer to a few frames at a time.

    Args:
        layer: maps frames, (n, C, h, w), to frames.
        x: (N T, C, h, w).
    """
    out = None
    for piece in split_frames(x):
        done = layer(x[piece])
        if out is None:
            out = done.new_empty(len(x), *done.shape[1:])
        out[piece] = done
    assert out is not None
    return out


def run_resnet(
    resnet: Any, x: Tensor, frames: int, emb: Tensor | None = None
) -> Tensor:
    """Run diffusers' `ResnetBlock2D` on clips.

    Args:
        resnet: the block, without scaling or resampling.
        x: (N T, C, h, w).
        frames: T.
        emb: of the time, (N, D), if the block takes one.

    Returns:
        (N T, C', h, w).
    """
    h = norm_conv(resnet.norm1, resnet.conv1, x, frames)
    if emb is not None:
        h += embed_frames(resnet.time_emb_proj, emb, frames)
    h = norm_conv(resnet.norm2, resnet.conv2, h, frames, reuse=True)
    if resnet.conv_shortcut is None:
        return h.add_(x)
    for piece in split_frames(x):
        h[piece] += resnet.conv_shortcut(x[piece])
    return h


def embed_frames(layer: nn.Module, emb: Tensor, frames: int) -> Tensor:
    """Project an embedding (N, D) for every pixel: (N T, C, 1, 1)."""
    found = layer(F.silu(emb)).repeat_interleave(frames, 0)
    return found[:, :, None, None]


def _size(x: Tensor, norm: nn.GroupNorm) -> int:
    return x[0].numel() // norm.num_groups


def _fine(x: Tensor) -> Tensor:
    """Return numbers in float32, or in the float64 that they are."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _act(x: Tensor, affine: tuple[Tensor, Tensor], piece: slice) -> Tensor:
    scale, shift = (y[piece] for y in affine)
    return F.silu(torch.addcmul(shift, _fine(x), scale), inplace=True)
