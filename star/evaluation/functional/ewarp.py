"""Flow warping error, Lai et al. 2018, in three published conventions.

A frame is rebuilt from the next one along the optical flow. The difference,
outside of occlusions and motion boundaries, measures flicker.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from star.evaluation.functional.clips import check_clip
from star.utils.checks import check_choice

Flow = Callable[[Tensor, Tensor], Tensor]
_MULTIPLE = 8


@runtime_checkable
class Matcher(Protocol):
    """A flow network that encodes each frame once for all of its pairs."""

    def encode(self, frame: Tensor) -> Any:
        """Prepare a frame, (1, 3, H, W) in [0, 255]."""

    def both_ways(self, first: Any, second: Any) -> Tensor:
        """Estimate the flow there and back, (2, 2, H, W) in pixels."""


@dataclass(frozen=True)
class EwarpPreset:
    """A convention.

    Args:
        half: halve the frames first, bilinear.
        peak: brightest value of the frames that the flow network is given; it
            expects 255.
        channel_sum: add the errors of the three channels instead of averaging
            them.
        keep_padding: count the pixels of the padding to a multiple of 8.
    """

    half: bool
    peak: float
    channel_sum: bool
    keep_padding: bool


@dataclass(frozen=True)
class EwarpDetails:
    """Measurements of each pair, (N,) float64.

    Args:
        errors: the warping error.
        flow: mean length of the forward flow in pixels of the frames that
            the flow network is given.
    """

    errors: Tensor
    flow: Tensor


# 'evalcrafter' equals that code, whose flow network gets [0, 1] where it
# expects [0, 255]; STAR's numbers come from it, times 1000. Lai et al. take
# the flow from the unprocessed clip; 'lai' takes it from the clip itself.
PRESETS = {
    'evalcrafter': EwarpPreset(True, 1.0, True, True),
    'evalcrafter_fixed': EwarpPreset(True, 255.0, True, True),
    'lai': EwarpPreset(False, 255.0, False, False),
}


def ewarp(flow: Flow, clip: Tensor, preset: str = 'evalcrafter') -> float:
    """Average the warping error of a clip's neighbouring frames.

    Args:
        flow: maps two batches of frames (N, 3, H, W) in [0, 255], sides
            multiples of 8, to displacements in pixels (N, 2, H, W), x first;
            a `Matcher` encodes each frame once.
        clip: restored clip, (T, 3, H, W) uint8 RGB, T >= 2.
        preset: one of `PRESETS`.

    Returns:
        Squared error for intensities in [0, 1]; tables show it times 1000.

    Raises:
        ValueError: no clip, a single frame, or an unknown preset.
    """
    return float(ewarp_details(flow, clip, preset).errors.mean())


def ewarp_details(
    flow: Flow,
    clip: Tensor,
    preset: str = 'evalcrafter',
    pairs: Sequence[int] | None = None,
) -> EwarpDetails:
    """Compute warping error and flow of pairs of neighbouring frames.

    Args:
        flow: as for `ewarp`.
        clip: as for `ewarp`.
        preset: as for `ewarp`.
        pairs: index of the first frame of each pair to measure, below T - 1;
            None for all pairs.

    Raises:
        ValueError: as for `ewarp`.
    """
    check_choice('preset', preset, PRESETS)
    check_clip(clip, 'clip')
    if len(clip) < 2:
        raise ValueError('`clip` must have at least 2 frames, got 1')
    matcher = flow if isinstance(flow, Matcher) else _PairMatcher(flow)
    views = _Views(clip, matcher, PRESETS[preset])
    indices = range(len(clip) - 1) if pairs is None else pairs
    errors, lengths = zip(*(_pair(views, i) for i in indices), strict=True)
    return EwarpDetails(torch.stack(errors), torch.stack(lengths))


class _PairMatcher:
    """Adapts a function of two batches to `Matcher`."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    def encode(self, frame: Tensor) -> Tensor:
        return frame

    def both_ways(self, first: Tensor, second: Tensor) -> Tensor:
        pair = torch.cat([first, second])
        return self.flow(pair, pair.flip(0))


class _Views:
    """Prepares frames to be compared and matched; keeps the last pair's."""

    def __init__(
        self, clip: Tensor, matcher: Matcher, preset: EwarpPreset
    ) -> None:
        self.clip, self.matcher, self.preset = clip, matcher, preset
        self.kept: dict[int, tuple[Tensor, Any]] = {}

    def pair(self, index: int) -> list[tuple[Tensor, Any]]:
        """Return the pixels and the code of a frame and of the next."""
        self.kept = {
            i: self.kept[i] if i in self.kept else self._view(i)
            for i in (index, index + 1)
        }
        return list(self.kept.values())

    def _view(self, index: int) -> tuple[Tensor, Any]:
        frame = _scale(self.clip[index : index + 1], self.preset.half)
        padded = _pad(frame)
        code = self.matcher.encode(padded * self.preset.peak)
        return (padded if self.preset.keep_padding else frame), code


@torch.no_grad()
def _pair(views: _Views, index: int) -> tuple[Tensor, Tensor]:
    """Compute the error and the length of the flow of one pair."""
    (first, code), (second, next_code) = views.pair(index)
    flows = views.matcher.both_ways(code, next_code)
    flows = _unpad(flows, *first.shape[-2:])
    first, second = first.to(flows.device), second.to(flows.device)
    channel_sum = views.preset.channel_sum
    error = warping_error(first, second, flows[:1], flows[1:], channel_sum)
    length = flows[0].double().square().sum(0).sqrt().mean()
    return error.cpu(), length.cpu()


def warping_error(
    first: Tensor,
    second: Tensor,
    forward: Tensor,
    backward: Tensor,
    channel_sum: bool = True,
) -> Tensor:
    """Compare a frame with the next one, warped onto it.

    Args:
        first: frame, (1, C, H, W) float.
        second: next frame, of the same shape.
        forward: flow from the first to the second, (1, 2, H, W) in pixels.
        backward: flow from the second to the first, (1, 2, H, W) in pixels.
        channel_sum: add the channels' errors instead of averaging them.

    Returns:
        Squared error per pixel that both frames show, a float64 scalar.
    """
    seen = (~occluded(forward, backward)).double()
    difference = (first - warp(second, forward)).double() * seen[:, None]
    total = difference.square().sum()
    count = seen.sum()
    if not count:  # the reference code then divides by all pixels
        count = count.new_tensor(float(seen.numel()))
    return total / count / (1 if channel_sum else first.shape[1])


def occluded(forward: Tensor, backward: Tensor) -> Tensor:
    """Find pixels that are hidden in the next frame or at motion boundaries.

    Sundaram et al. 2010: there, forward and backward flow do not cancel, or
    the flow changes abruptly.

    Args:
        forward: flow, (N, 2, H, W) in pixels.
        backward: flow of the other direction.

    Returns:
        (N, H, W) bool.
    """
    back = warp(backward, forward)
    mismatch = (back + forward).square().sum(1)
    length = forward.square().sum(1)
    hidden = mismatch > 0.01 * (back.square().sum(1) + length) + 0.5
    right = F.pad(forward[..., 1:] - forward[..., :-1], (0, 1))
    down = F.pad(forward[..., 1:, :] - forward[..., :-1, :], (0, 0, 0, 1))
    gradient = right.square().sum(1) + down.square().sum(1)
    return hidden | (gradient > 0.01 * length + 0.002)


def warp(x: Tensor, flow: Tensor) -> Tensor:
    """Look up `x` along a flow, bilinear, borders replicated.

    Args:
        x: (N, C, H, W) float.
        flow: displacement in pixels, (N, 2, H, W), x first.
    """
    height, width = x.shape[-2:]
    rows = torch.arange(height, dtype=flow.dtype, device=flow.device)
    columns = torch.arange(width, dtype=flow.dtype, device=flow.device)
    across = (columns + flow[:, 0]) * 2 / max(width - 1, 1) - 1
    along = (rows[:, None] + flow[:, 1]) * 2 / max(height - 1, 1) - 1
    grid = torch.stack([across, along], -1)
    return F.grid_sample(
        x, grid, mode='bilinear', padding_mode='border', align_corners=True
    )


def _scale(frames: Tensor, half: bool) -> Tensor:
    x = frames.float() / 255
    if not half:
        return x
    return F.interpolate(
        x, scale_factor=0.5, mode='bilinear', align_corners=False
    )


def _pad(x: Tensor) -> Tensor:
    """Replicate borders up to sides that are multiples of 8, half before."""
    bottom, right = (-side % _MULTIPLE for side in x.shape[-2:])
    top, left = bottom // 2, right // 2
    pads = (left, right - left, top, bottom - top)
    return F.pad(x, pads, mode='replicate')


def _unpad(x: Tensor, height: int, width: int) -> Tensor:
    """Undo `_pad`."""
    top, left = (
        (a - b) // 2
        for a, b in zip(x.shape[-2:], (height, width), strict=True)
    )
    return x[..., top : top + height, left : left + width]
