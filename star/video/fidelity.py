"""Fidelity: brings a restored frame back to what its input shows.

The restored frame, shrunk to the input's size, should be the input. What is
missing is added, enlarged: back-projection (Irani and Peleg, "Improving
resolution by image registration"). Wiener's gain holds the input's noise
back: of a detail counts the share of its power that is not noise.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

COARSE = 7  # side of a box of input pixels; two of them make the coarse part
POWER = 5  # side of a box over which power is averaged, twice as well
NOISE_SHARE = 0.35  # of a frame's pixels are taken for flat and noisy
_LEAST = 1e-12  # power, so that nothing is divided by 0
_BYTES = 20  # that a pixel takes, at most, while a channel is corrected

Size = tuple[int, int]


def keep_input(pred: Tensor, lq: Tensor, fidelity: float) -> Tensor:
    """Correct a restored frame by what its input shows.

    Coarse differences are added, and those details that stand out of the
    noise, such as edges. With a fidelity f, coarse ones count 1 - (1 - f)^2
    and details f^2: colours come first, and what may bring back noise last.

    Args:
        pred: restored frame, (C, H, W) uint8 or uint16.
        lq: its input, (C, h, w) of the same type and device.
        fidelity: [0, 1]; 0 for `pred`, 1 for all that the input shows.

    Returns:
        Corrected frame like pred.

    Raises:
        ValueError: shapes or types do not fit.
    """
    same = pred.dtype == lq.dtype and len(pred) == len(lq)
    if not same or pred.ndim != 3 or lq.ndim != 3:
        raise ValueError(
            '`pred` and `lq` must be (C, H, W) and (C, h, w) of one type, got '
            f'{tuple(pred.shape)} {pred.dtype} and {tuple(lq.shape)} '
            f'{lq.dtype}'
        )
    if not fidelity:
        return pred
    large = pred.shape[-2], pred.shape[-1]
    # a result that is smaller than its input is compared in its own size
    small = min(large[0], lq.shape[-2]), min(large[1], lq.shape[-1])
    # one channel after the other, as large floats take memory
    missing = [
        resize(y.float(), small) - resize(x.float(), small)
        for x, y in zip(pred.split(1), lq.split(1), strict=True)
    ]
    wanted = weigh(torch.cat(missing), fidelity)
    out = torch.empty_like(pred)
    for i, plane in enumerate(wanted.split(1)):
        # shrinking loses a part of what was enlarged: that is added as well
        lost = plane - resize(resize(plane, large), small)
        whole = resize(plane + lost, large) + pred[i].float()
        white = torch.iinfo(pred.dtype).max
        out[i] = whole[0].round_().clamp_(0, white).to(pred.dtype)
    return out


def weigh(missing: Tensor, fidelity: float) -> Tensor:
    """Choose how much of what is missing is added.

    Args:
        missing: input less the shrunk result, (C, h, w) float.
        fidelity: (0, 1].
    """
    coarse = _blur(missing, COARSE)
    detail = missing - coarse
    gain = wiener_gain(detail)
    return (1 - (1 - fidelity) ** 2) * coarse + fidelity**2 * gain * detail


def wiener_gain(detail: Tensor) -> Tensor:
    """Estimate which share of a frame's details is not noise.

    The gain is 1 - noise / power, or 0. Power is averaged over channels and
    neighbours. The noise is that of flat areas: the power that `NOISE_SHARE`
    of the pixels do not exceed.

    Args:
        detail: (C, h, w) float.

    Returns:
        Gains (1, h, w) in [0, 1].
    """
    power = _blur(detail.square(), POWER).mean(0, keepdim=True)
    count = max(1, round(NOISE_SHARE * power.numel()))
    noise = power.flatten().kthvalue(count).values
    return (1 - noise / power.clamp(min=_LEAST)).clamp(min=0)


def resize(x: Tensor, size: Size) -> Tensor:
    """Enlarge, or shrink without aliases, by the bicubic filter.

    Args:
        x: (C, H, W) float.
        size: height and width.
    """
    if tuple(x.shape[-2:]) == size:
        return x
    return F.interpolate(
        x[None], size=size, mode='bicubic', align_corners=False, antialias=True
    )[0]


def memory_for(size: Size) -> int:
    """Return the bytes that `keep_input` takes beside frames.

    Args:
        size: height and width of the result.
    """
    return _BYTES * size[0] * size[1]


def _blur(x: Tensor, side: int) -> Tensor:
    """Average over a box, twice; at borders over what there is."""
    for _ in range(2):
        x = F.avg_pool2d(x, side, 1, side // 2, count_include_pad=False)
    return x
