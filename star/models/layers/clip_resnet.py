"""Layers of image networks, run on clips whose frames share their norms.

Frames are the batch, (N T) with the T frames of a clip in a row. A group norm
of a network that was inflated from images pools over all frames of a clip, so
its statistics are gathered first, and the layers then work through the frames
in pieces: no normed copy of a whole clip is in memory. For inference: results
overwrite what is no longer needed.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_PIECE = 1 << 24  # numbers of a normed piece
_Lack = tuple[int, int]  # rows above and below a band that do not exist


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
        mean = groups.mean(2)
        # on a CPU ten times as fast as `var_mean`
        spread = torch.linalg.vector_norm(groups - mean[..., None], dim=2)
        found.append(torch.stack([spread.square() / groups.shape[2], mean]))
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


def norm_conv(
    norm: nn.GroupNorm,
    conv: nn.Conv2d,
    x: Tensor,
    frames: int,
    reuse: bool = False,
) -> Tensor:
    """Apply a group norm over whole clips, SiLU, and a convolution.

    Args:
        norm: the group norm.
        conv: of each frame; keeps its size.
        x: (N T, C, h, w).
        frames: T.
        reuse: the result may overwrite `x`; `conv` keeps the channels.
    """
    affine = gather_affine(norm, x, frames)
    if x.numel() <= _PIECE:
        return conv(_act(x, affine, slice(None)).to(x.dtype))
    out = x
    if not reuse:
        out = x.new_empty(len(x), conv.out_channels, *x.shape[2:])
    for piece in split_frames(x):

        def run(band: Tensor, lack: _Lack, piece: slice = piece) -> Tensor:
            normed = _act(band, affine, piece).to(x.dtype)
            return _convolve(conv, normed, lack)

        _run_bands(run, conv.kernel_size[0] // 2, x[piece], out[piece])
    return out


def add_conv_3d(
    norm: nn.GroupNorm, conv: nn.Conv3d, x: Tensor, frames: int
) -> Tensor:
    """Add to clips what a group norm, SiLU and a 3x3x3 convolution give.

    Args:
        norm: pools over the clip.
        conv: keeps the shape.
        x: (N T, C, h, w), overwritten.
        frames: T.
    """
    affine = gather_affine(norm, x, frames)

    def run(band: Tensor, lack: _Lack) -> Tensor:
        normed = _act(band, affine, slice(None)).to(x.dtype)
        clips = F.pad(normed, (0, 0, *lack)).unflatten(0, (-1, frames))
        done = F.conv3d(
            clips.transpose(1, 2), conv.weight, conv.bias, padding=(1, 0, 1)
        )
        return done.transpose(1, 2).flatten(0, 1)

    _run_bands(run, 1, x, x, add=True)
    return x


def _run_bands(
    run: Callable[[Tensor, _Lack], Tensor],
    border: int,
    x: Tensor,
    out: Tensor,
    add: bool = False,
) -> None:
    """Run a layer on frames, in one band of rows or in several.

    Args:
        run: maps rows with `border` more above and below, where there are
            any, to rows without these; also gets how many lack above and
            below.
        border: rows.
        x: (n, C, h, w).
        out: receives the result, may be `x`.
        add: add the result.
    """
    height = x.shape[2]
    step = max(border, 1, _PIECE // x[:, :, 0].numel())
    above = x[:, :, :0]  # kept, where the result overwrites it
    for start in range(0, height, step):
        stop = min(start + step, height)
        band = x[:, :, start : stop + border]
        if start:
            band = torch.cat([above, band], 2)
        lack = (
            max(0, border - above.shape[2]),
            max(0, stop + border - height),
        )
        above = x[:, :, stop - border : stop]
        if stop < height:
            above = above.clone()
        rows, done = out[:, :, start:stop], run(band, lack)
        rows.add_(done) if add else rows.copy_(done)


def _convolve(conv: nn.Conv2d, band: Tensor, lack: _Lack) -> Tensor:
    """Convolve rows; zeros stand for those that lack."""
    border = conv.kernel_size[0] // 2
    if lack == (border, border):
        return conv(band)
    band = F.pad(band, (0, 0, *lack))
    return F.conv2d(band, conv.weight, conv.bias, padding=(0, border))


def upsample_conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Double frames by repeating pixels, and convolve them, band by band.

    Args:
        conv: 3x3; keeps the size and the channels.
        x: (N T, C, h, w).
    """
    count, channels, height, width = x.shape
    out = x.new_empty(count, channels, 2 * height, 2 * width)
    step = max(1, _PIECE // (4 * x[:1, :, 0].numel()))
    for frame, start in product(range(count), range(0, height, step)):
        stop = min(start + step, height)
        first, last = max(start - 1, 0), min(stop + 1, height)
        band = x[frame : frame + 1, :, first:last]
        band = F.interpolate(band, scale_factor=2.0, mode='nearest')
        # one row of each neighbour, or of zeros
        lack = (-1 if start else 1, -1 if stop < height else 1)
        out[frame : frame + 1, :, 2 * start : 2 * stop] = _convolve(
            conv, band, lack
        )
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
    if x.numel() <= _PIECE:
        return h.add_(resnet.conv_shortcut(x))
    for piece in split_frames(x):
        _run_bands(
            lambda band, _: resnet.conv_shortcut(band),
            0,
            x[piece],
            h[piece],
            add=True,
        )
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
