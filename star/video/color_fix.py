"""Colour fixes: give a restored clip the colours of its low-quality input.

Those in the tables work frame by frame, so memory does not grow with the clip.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from star.video.rank_colours import (
    saturation,
    transfer_lab,
    transfer_saturation,
)

# STAR's 1e-5 is a variance in [0, 1], four times that in [-1, 1]
_VARIANCE_FLOOR = 4e-5
_PLAIN_FLOOR = 1e-5  # that of other methods, in [-1, 1]
_WAVELET_LEVELS = 5
_SIDES = 8  # a filter reaches a frame's shorter side divided by this
# more saturation than in the input from which on it is taken back, and a curve
_TOO_MUCH, _MIDDLE, _STEEP = 0.075, 0.15, 5


def adain_color_fix(
    pred: Tensor,
    lq: Tensor,
    floor: float = _VARIANCE_FLOOR,
    correction: int = 0,
) -> Tensor:
    """Give each channel of each frame the input's mean and deviation.

    Args:
        pred: restored clip, (T, C, H, W) float in [-1, 1].
        lq: low-quality clip enlarged to the same size and range.
        floor: added to the variances; STAR's by default.
        correction: 1 for variances divided by one less than the pixels.

    Returns:
        Corrected clip like pred; values may leave the range.

    Raises:
        ValueError: the shapes differ.

    Source: Huang and Belongie, "Arbitrary Style Transfer", Eq. 8.
    """
    fix = partial(_adain_frame, floor=floor, correction=correction)
    return _per_frame(fix, pred, lq)


def wavelet_color_fix(pred: Tensor, lq: Tensor) -> Tensor:
    """Replace the coarse approximation of each frame by the input's.

    The approximation is five levels of the a-trous wavelet transform with
    the 3x3 binomial kernel, borders replicated.

    Args:
        pred: restored clip, (T, C, H, W) float.
        lq: low-quality clip enlarged to the same size, in the same range.

    Returns:
        Corrected clip like pred; values may leave the range.

    Raises:
        ValueError: the shapes differ.

    Source: Wang et al., "StableSR", appendix on colour correction.
    """
    return _per_frame(_wavelet_frame, pred, lq)


def detail_fix(pred: Tensor, lq: Tensor) -> Tensor:
    """Keep of pred only the detail finer than the pixels of a x4 input.

    This is `wavelet_color_fix` with two levels instead of five: everything
    that the input resolves, including its noise, comes from the input.

    Args:
        pred: restored clip, (T, C, H, W) float.
        lq: low-quality clip enlarged to the same size, in the same range.

    Returns:
        Corrected clip like pred; values may leave the range.

    Raises:
        ValueError: the shapes differ.
    """
    return _per_frame(partial(_wavelet_frame, levels=2), pred, lq)


def limited_wavelet_fix(pred: Tensor, lq: Tensor) -> Tensor:
    """Do what `wavelet_color_fix` does with filters that fit small frames.

    Args:
        pred: restored clip, (T, C, H, W) float in [-1, 1].
        lq: low-quality clip enlarged to the same size and range.

    Returns:
        Corrected clip like pred, clamped.

    Raises:
        ValueError: the shapes differ.
    """
    most = max(1, min(pred.shape[-2:]) // _SIDES)
    fixed = _per_frame(partial(_wavelet_frame, most=most), pred, lq)
    return fixed.clamp(-1, 1)


def lab_color_fix(pred: Tensor, lq: Tensor) -> Tensor:
    """Replace coarse colours, then match the ranks of the input's in CIELAB.

    The pixels of all frames are ranked together.

    Args:
        pred: restored clip, (T, 3, H, W) float in [-1, 1].
        lq: low-quality clip enlarged to the same size and range.

    Returns:
        Corrected clip like pred, clamped.

    Raises:
        ValueError: the shapes differ.
    """
    style = lq.to(pred).float()
    fixed = limited_wavelet_fix(pred.float(), style)
    return transfer_lab(fixed, style).to(pred)


def hsv_color_fix(pred: Tensor, lq: Tensor) -> Tensor:
    """Match the ranks of the input's saturation within ranges of hues.

    Args and result are those of `lab_color_fix`.

    Raises:
        ValueError: the shapes differ.
    """
    _check_shapes(pred, lq)
    x = pred.float()
    return transfer_saturation(x, lq.to(pred).float()).to(pred)


def adaptive_color_fix(pred: Tensor, lq: Tensor) -> Tensor:
    """Replace coarse colours, but not where that is too colourful.

    There the result of `hsv_color_fix` is mixed in. Args and result are those
    of `lab_color_fix`.

    Raises:
        ValueError: the shapes differ.
    """
    x, lq = pred.float(), lq.to(pred).float()
    fixed = limited_wavelet_fix(x, lq)
    own, coarse, wanted = (saturation(y) for y in (x, fixed, lq))
    share = torch.sigmoid(_STEEP * (own - wanted - _MIDDLE))
    share = torch.where(coarse - wanted > _TOO_MUCH, share, 0)
    mixed = fixed.lerp(transfer_saturation(x, lq), share)
    return mixed.clamp(-1, 1).to(pred)


def no_color_fix(pred: Tensor, lq: Tensor) -> Tensor:
    """Return `pred` unchanged."""
    return pred


def _per_frame(
    fix: Callable[[Tensor, Tensor], Tensor], pred: Tensor, lq: Tensor
) -> Tensor:
    _check_shapes(pred, lq)
    out = torch.empty_like(pred)
    for i, (frame, reference) in enumerate(zip(pred, lq, strict=True)):
        out[i] = fix(frame.float(), reference.to(pred.device).float())
    return out


def _each_frame(
    fix: Callable[[Tensor, Tensor], Tensor], pred: Tensor, lq: Tensor
) -> Tensor:
    """Fix frames by themselves, so that windows do not change them."""
    _check_shapes(pred, lq)
    pairs = zip(pred.split(1), lq.to(pred.device).split(1), strict=True)
    return torch.cat([fix(frame, reference) for frame, reference in pairs])


def _check_shapes(pred: Tensor, lq: Tensor) -> None:
    if pred.shape != lq.shape or pred.ndim != 4:
        raise ValueError(
            '`pred` and `lq` must have one shape (T, C, H, W), got '
            f'{tuple(pred.shape)} and {tuple(lq.shape)}'
        )


COLOR_FIXES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'adain': adain_color_fix,
    'wavelet': wavelet_color_fix,
    'detail': detail_fix,
    'lab': partial(_each_frame, lab_color_fix),
    'hsv': partial(_each_frame, hsv_color_fix),
    'adaptive': partial(_each_frame, adaptive_color_fix),
    'none': no_color_fix,
}
# as StableSR, Upscale-A-Video and MGLD-VSR have them
IMAGE_COLOR_FIXES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    **COLOR_FIXES,
    'adain': partial(adain_color_fix, floor=_PLAIN_FLOOR, correction=1),
}


def _adain_frame(
    pred: Tensor, lq: Tensor, floor: float, correction: int
) -> Tensor:
    pred_mean, pred_std = _statistics(pred, floor, correction)
    lq_mean, lq_std = _statistics(lq, floor, correction)
    return (pred - pred_mean) * (lq_std / pred_std) + lq_mean


def _statistics(
    frame: Tensor, floor: float, correction: int
) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(
        frame, dim=(1, 2), correction=correction, keepdim=True
    )
    return mean, (variance + floor).sqrt()


def _wavelet_frame(
    pred: Tensor,
    lq: Tensor,
    levels: int = _WAVELET_LEVELS,
    most: int = 2**_WAVELET_LEVELS,
) -> Tensor:
    # the transform is linear: pred - low(pred) + low(lq) in one pass
    return pred + _approximation(lq - pred, levels, most)


def _approximation(frame: Tensor, levels: int, most: int) -> Tensor:
    for level in range(levels):
        step = min(2**level, most)
        padded = F.pad(frame, (step,) * 4, mode='replicate')
        rows = _binomial(padded, step, -2)
        frame = _binomial(rows, step, -1)
    return frame


def _binomial(x: Tensor, step: int, dim: int) -> Tensor:
    """Filter with (1, 2, 1) / 4 at distance `step`, without borders."""
    size = x.shape[dim] - 2 * step
    first, middle, last = (x.narrow(dim, i * step, size) for i in range(3))
    return (first + last) / 4 + middle / 2
