"""Weights in 8 or 4 bits: stored small, restored where a layer uses them."""

import re
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

FORMATS = ('int8', 'fp8', 'nf4')
BLOCK = 64  # weights that share a scale in 'nf4'
# The levels of NF4 (Dettmers et al. 2023, appendix E): quantiles of the normal
# distribution, scaled to [-1, 1], with an exact 0.
NF4 = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
_INT8, _FP8 = 127, 448  # the largest codes
_LEAST = 4096  # weights of a layer; smaller ones save nothing
# parts of a layer's name: time embeddings, gates, and what is near the pixels
_PRECISE = re.compile(
    r'^encoder\.input_blocks\.0\.conv$'
    r'|(^|[._])(time|embed\w*|emb|temb|norm\w*|local\d?|gate|hint|conv_in'
    r'|conv_out|zero_convs|middle_out|patch_embed)([._]|$)'
)


class _Quantized(nn.Module):
    """Mixed into a layer's class: `weight` is computed from codes."""

    form: str
    shape: torch.Size
    codes: Tensor
    scales: Tensor

    @property
    def weight(self) -> Tensor:
        """The weight that the codes stand for, channels last."""
        return decode(self.codes, self.scales, self.form, self.shape)


def quantize_weights(network: nn.Module, form: str) -> int:
    """Store the weights of a network's linear layers and convolutions small.

    Left as they are: the first and the last such layer, those of time
    embeddings, norms and gates, and small ones. Only the storage changes: a
    layer computes in the dtype that its weight had.

    Args:
        network: in the dtype that it will compute in; changed in place. It
            cannot be trained any more.
        form: 'int8' and 'fp8' (e4m3) with a scale for each output channel;
            'nf4' with one for each `BLOCK` weights.

    Returns:
        The number of layers that changed.

    Raises:
        ValueError: unknown form.
    """
    if form not in FORMATS:
        raise ValueError(
            f'`quantize` must be one of {", ".join(FORMATS)}, got {form!r}'
        )
    layers = _choose(network)
    for layer in layers:
        _replace(layer, form)
    return len(layers)


def encode(weight: Tensor, form: str) -> tuple[Tensor, Tensor]:
    """Round a weight to codes.

    Args:
        weight: (O, ...), of any layout.
        form: one of `FORMATS`.

    Returns:
        Codes and scales, the latter of the dtype of `weight`, so that
        moving a network to it again changes nothing. 'int8': int8 and
        (O, 1, ...). 'fp8': the bits of e4m3 as uint8 and (O, 1, ...).
        'nf4': pairs of codes as uint8, in the order of the weight's
        channels-last memory, and (blocks, 1).
    """
    if form == 'nf4':
        return _encode_nf4(weight)
    most = _INT8 if form == 'int8' else _FP8
    largest = weight.float().abs().flatten(1).amax(1)
    scales = _positive(largest / most).to(weight.dtype)
    scales = scales.view(-1, *[1] * (weight.ndim - 1))
    scaled = weight.float() / scales.float()
    if form == 'int8':
        return scaled.round().clamp(-_INT8, _INT8).to(torch.int8), scales
    small = scaled.clamp(-_FP8, _FP8).to(torch.float8_e4m3fn)
    return small.view(torch.uint8), scales


def decode(
    codes: Tensor, scales: Tensor, form: str, shape: torch.Size
) -> Tensor:
    """Restore a weight of the dtype of `scales` from what `encode` gave.

    Args:
        codes: of the weight.
        scales: of the weight.
        form: one of `FORMATS`.
        shape: of the weight.
    """
    if form == 'int8':
        return codes.to(scales.dtype) * scales
    if form == 'fp8':
        return codes.view(torch.float8_e4m3fn).to(scales.dtype) * scales
    levels = torch.tensor(NF4, dtype=scales.dtype, device=codes.device)
    pairs = torch.stack([codes >> 4, codes & 15], -1).flatten()
    blocks = levels[pairs.int()].view(-1, BLOCK) * scales
    flat = blocks.flatten()[: shape.numel()]
    outer, inner, *sides = shape
    return flat.view(outer, *sides, inner).movedim(-1, 1)


def _encode_nf4(weight: Tensor) -> tuple[Tensor, Tensor]:
    flat = weight.float().movedim(1, -1).flatten()
    padded = flat.new_zeros(-(-len(flat) // BLOCK) * BLOCK)
    padded[: len(flat)] = flat
    blocks = padded.view(-1, BLOCK)
    scales = _positive(blocks.abs().amax(1, True)).to(weight.dtype)
    levels = torch.tensor(NF4, device=weight.device)
    middles = (levels[1:] + levels[:-1]) / 2
    codes = torch.bucketize(blocks / scales.float(), middles)
    pairs = codes.to(torch.uint8).view(-1, 2)
    return (pairs[:, 0] << 4) | pairs[:, 1], scales


def _positive(scales: Tensor) -> Tensor:
    """Put 1 where all weights are 0."""
    return torch.where(scales > 0, scales, torch.ones_like(scales))


def _choose(network: nn.Module) -> list[nn.Module]:
    """List the layers whose weights are rounded."""
    named = [
        (name, layer)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | _ConvNd)
        and not isinstance(layer, _Quantized)
    ]
    return [
        layer
        for name, layer in named[1:-1]
        if not _PRECISE.search(name) and layer.weight.numel() >= _LEAST
    ]


@torch.no_grad()
def _replace(layer: Any, form: str) -> None:
    """Put codes in the place of a layer's weight."""
    weight = layer.weight
    codes, scales = encode(weight.detach(), form)
    del layer.weight
    layer.register_buffer('codes', codes)
    layer.register_buffer('scales', scales)
    layer.form, layer.shape = form, weight.shape
    kind: Any = type(layer)
    layer.__class__ = _with_codes(kind)


@cache
def _with_codes(layer: type) -> type:
    """Make the class of such layers whose weight is in codes."""
    return type(f'Quantized{layer.__name__}', (_Quantized, layer), {})
