"""Colours of one clip by the ranks of another's, in CIELAB and in HSV.

The pixels of a clip are sorted, and each takes the value that has its rank in
the other clip. All frames are sorted together.
"""

import torch
from torch import Tensor

_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_FROM_XYZ = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)
_WHITE = (0.95047, 1.0, 1.08883)  # D65
_DELTA, _KAPPA = 6 / 29, (29 / 3) ** 3
_DARK_SRGB, _DARK_LINEAR = 0.04045, 0.0031308  # below: a straight line
_OWN_LIGHTNESS = 0.8
_BINS, _FEW = 12, 100  # ranges of hue, and pixels that are too few to match
_TINY = 1e-12


def match_ranks(values: Tensor, style: Tensor) -> Tensor:
    """Replace values by those of the same rank.

    Args:
        values: of any shape.
        style: of any shape; with another number of values the ranks are
            stretched and rounded down. Rounding to the nearest or between
            values leaves the tolerance of SeedVR2's vectors.

    Returns:
        Like `values`.
    """
    flat, wanted = values.flatten(), style.flatten().sort().values
    count, others = len(flat), len(wanted)
    if count != others:
        places = torch.linspace(0, 1, count, device=flat.device)
        wanted = wanted[(places * (others - 1)).long()]
    out = torch.empty_like(flat)
    out[flat.argsort()] = wanted
    return out.view_as(values)


def transfer_lab(pred: Tensor, lq: Tensor) -> Tensor:
    """Give a clip the hues of another, and a little of its lightness.

    Args:
        pred: (T, 3, H, W) in [-1, 1].
        lq: like `pred`.

    Returns:
        Like `pred`, clamped.
    """
    own, style = (to_lab(x / 2 + 0.5).unbind(1) for x in (pred, lq))
    light, a, b = (
        match_ranks(mine, other)
        for mine, other in zip(own, style, strict=True)
    )
    light = torch.lerp(light, own[0], _OWN_LIGHTNESS)
    return from_lab(torch.stack([light, a, b], 1)) * 2 - 1


def transfer_saturation(pred: Tensor, lq: Tensor) -> Tensor:
    """Give a clip the saturation of another, hue by hue.

    A range of hues with few pixels in either clip stays as it is.

    Args:
        pred: (T, 3, H, W) in [-1, 1].
        lq: like `pred`.

    Returns:
        Like `pred`, clamped.
    """
    hue, saturation, value = to_hsv(pred / 2 + 0.5).unbind(1)
    hue_lq, wanted, _ = to_hsv(lq / 2 + 0.5).unbind(1)
    out = saturation.clone()
    for i in range(_BINS):
        here, there = (_in_bin(x, i) for x in (hue, hue_lq))
        if min(int(here.sum()), int(there.sum())) > _FEW:
            out[here] = match_ranks(saturation[here], wanted[there])
    return from_hsv(torch.stack([hue, out, value], 1)) * 2 - 1


def saturation(x: Tensor) -> Tensor:
    """Return the saturation, (T, 1, H, W), of a clip in [-1, 1]."""
    return to_hsv(x / 2 + 0.5)[:, 1:2]


def to_lab(x: Tensor) -> Tensor:
    """Turn RGB in [0, 1] into CIELAB, (T, 3, H, W), lightness to 100."""
    x = x.clamp(0, 1)
    curve = ((x + 0.055) / 1.055) ** 2.4
    linear = torch.where(x > _DARK_SRGB, curve, x / 12.92)
    xyz = _multiply(_TO_XYZ, linear) / _white(x)
    root = xyz.clamp_min(_TINY) ** (1 / 3)
    line = (_KAPPA * xyz + 16) / 116
    fx, fy, fz = torch.where(xyz > _DELTA**3, root, line).unbind(1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], 1)


def from_lab(lab: Tensor) -> Tensor:
    """Turn CIELAB into RGB in [0, 1], clamped."""
    light, a, b = lab.unbind(1)
    fy = (light + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], 1)
    xyz = torch.where(f > _DELTA, f**3, (116 * f - 16) / _KAPPA)
    linear = _multiply(_FROM_XYZ, xyz * _white(lab))
    curve = 1.055 * linear.clamp_min(_TINY) ** (1 / 2.4) - 0.055
    rgb = torch.where(linear > _DARK_LINEAR, curve, 12.92 * linear)
    return rgb.clamp(0, 1)


def to_hsv(x: Tensor) -> Tensor:
    """Turn RGB in [0, 1] into hue in degrees, saturation and value."""
    x = x.clamp(0, 1)
    r, g, b = x.unbind(1)
    value = x.amax(1)
    chroma = value - x.amin(1)
    least = chroma + _TINY
    hue = torch.where(
        value == r,
        ((g - b) / least) % 6,
        torch.where(value == g, (b - r) / least + 2, (r - g) / least + 4),
    )
    return torch.stack([hue * 60, chroma / (value + _TINY), value], 1)


def from_hsv(hsv: Tensor) -> Tensor:
    """Turn hue in degrees, saturation and value into RGB, clamped."""
    hue, saturation, value = hsv.unbind(1)
    channels = []
    for shift in (5, 3, 1):  # red, green, blue
        place = (shift + hue / 60) % 6
        part = torch.minimum(place, 4 - place).clamp(0, 1)
        channels.append(value - value * saturation * part)
    return torch.stack(channels, 1).clamp(0, 1)


def _in_bin(hue: Tensor, index: int) -> Tensor:
    """Mark a range of hues; the first one takes the last as well.

    The last range is matched by itself later.
    """
    width = 360 / _BINS
    found = (hue >= index * width) & (hue < (index + 1) * width)
    return found | (hue >= 360 - width) if index == 0 else found


def _multiply(matrix: tuple[tuple[float, ...], ...], x: Tensor) -> Tensor:
    rows = torch.tensor(matrix, dtype=x.dtype, device=x.device)
    return torch.einsum('ij,tjhw->tihw', rows, x)


def _white(x: Tensor) -> Tensor:
    white = torch.tensor(_WHITE, dtype=x.dtype, device=x.device)
    return white.view(3, 1, 1)
