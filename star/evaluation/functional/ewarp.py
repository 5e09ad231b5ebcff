"""Flow warping error, Lai et al. 2018, in the conventions that are in use.

A frame is rebuilt from the next one along the optical flow; what differs,
outside of occlusions and motion boundaries, flickers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional as F

from star.evaluation.functional.clips import check_clip

Flow = Callable[[Tensor, Tensor], Tensor]
_MULTIPLE = 8


@runtime_checkable
class Matcher(Protocol):
    """A flow network that looks at each frame once, whatever its pairs."""

    def encode(self, frame: Tensor) -> Any:
        """Prepare a frame, (1, 3, H, W) in [0, 255]."""

    def both_ways(self, first: Any, second: Any) -> Tensor:
        """Estimate the flow there and back, (2, 2, H, W) in pixels."""


@dataclass(frozen=True)
class EwarpPreset:
    """A convention.

    Args:
        half: frames are halved first, bilinear.
        peak: brightest value that the flow network is given; it expects 255.
        channel_sum: add the three channels' errors, not average them.
        keep_padding: pixels padded to a multiple of 8 count.
    """

    half: bool
    peak: float
    channel_sum: bool
    keep_padding: bool


@dataclass(frozen=True)
class EwarpDetails:
    """What is measured of each pair, (N,) float64.

    Args:
        errors: the warping error.
        flow: mean length of the forward flow in pixels of the frames that
            the flow network is given.
    """

    errors: Tensor
    flow: Tensor


# 'evalcrafter' is that code as it stands, whose flow network gets [0, 1]
# where it expects [0, 255]; STAR's numbers come from it, times 1000. Lai
# takes the flow from the unprocessed clip: give it as `flow_clip`.
PRESETS = {
    'evalcrafter': EwarpPreset(True, 1.0, True, True),
    'evalcrafter_fixed': EwarpPreset(True, 255.0, True, True),
    'lai': EwarpPreset(False, 255.0, False, False),
}


def ewarp(
    flow: Flow,
    clip: Tensor,
    preset: str = 'evalcrafter',
    flow_clip: Tensor | None = None,
) -> float:
    """Average the warping error of a clip's neighbouring frames.

    Args:
        flow: maps two batches of frames (N, 3, H, W) in [0, 255], sides
            multiples of 8, to displacements in pixels (N, 2, H, W), x first;
            one that is a `Matcher` sees each frame once.
        clip: the evaluated clip, (T, 3, H, W) uint8 RGB, T >= 2.
        preset: one of `PRESETS`.
        flow_clip: where the flow is taken from, of the same shape; None for
            `clip` itself.

    Returns:
        Squared error for intensities in [0, 1]; tables show it times 1000.

    Raises:
        ValueError: no clip, a single frame, or an unknown preset.
    """
    return float(ewarp_pairs(flow, clip, preset, flow_clip).mean())


def ewarp_pairs(
    flow: Flow,
    clip: Tensor,
    preset: str = 'evalcrafter',
    flow_clip: Tensor | None = None,
) -> Tensor:
    """Compute the warping error of each pair of neighbouring frames.

    Args:
        flow: as for `ewarp`.
        clip: likewise.
        preset: likewise.
        flow_clip: likewise.

    Returns:
        (T - 1,) float64.

    Raises:
        ValueError: as for `ewarp`.
    """
    return ewarp_details(flow, clip, preset, flow_clip).errors


def ewarp_details(
    flow: Flow,
    clip: Tensor,
    preset: str = 'evalcrafter',
    flow_clip: Tensor | None = None,
    pairs: Sequence[int] | None = None,
) -> EwarpDetails:
    """Compute warping error and flow of pairs of neighbouring frames.

    Args:
        flow: as for `ewarp`.
        clip: likewise.
        preset: likewise.
        flow_clip: likewise.
        pairs: the first frames of those to measure, below T - 1; None for
            all.

    Raises:
        ValueError: as for `ewarp`.
    """
    if preset not in PRESETS:
        raise ValueError(
            f'`preset` must be one of {", ".join(PRESETS)}, got {preset!r}'
        )
    check_clip(clip, 'clip')
    if len(clip) < 2:
        raise ValueError('`clip` must have at least 2 frames, got 1')
    guide = clip if flow_clip is None else flow_clip
    if guide.shape != clip.shape:
        raise ValueError(
            f'`flow_clip` must be {tuple(clip.shape)} as the clip, got '
            f'{tuple(guide.shape)}'
        )
    matcher = flow if isinstance(flow, Matcher) else _Plain(flow)
    views = _Views(clip, guide, matcher, PRESETS[preset])
    indices = range(len(clip) - 1) if pairs is None else pairs
    errors, lengths = zip(*(_pair(views, i) for i in indices), strict=True)
    return EwarpDetails(torch.stack(errors), torch.stack(lengths))


class _Plain:
    """Lets a function of two batches be used as a `Matcher`."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow

    def encode(self, frame: Tensor) -> Tensor:
        return frame

    def both_ways(self, first: Tensor, second: Tensor) -> Tensor:
        pair = torch.cat([first, second])
        return self.flow(pair, pair.flip(0))


class _Views:
    """Frames as they are compared and matched; neighbours are kept."""

    def __init__(
        self,
        clip: Tensor,
        guide: Tensor,
        matcher: Matcher,
        preset: EwarpPreset,
    ) -> None:
        self.clip, self.guide = clip, guide
        self.matcher, self.preset = matcher, preset
        self.kept: dict[int, tuple[Tensor, Any]] = {}

    def pair(self, index: int) -> list[tuple[Tensor, Any]]:
        """Prepare a frame and the next: pixels, and what the flow needs."""
        self.kept = {
            i: self.kept[i] if i in self.kept else self._view(i)
            for i in (index, index + 1)
        }
        return list(self.kept.values())

    def _view(self, index: int) -> tuple[Tensor, Any]:
        half, place = self.preset.half, slice(index, index + 1)
        frame = _scale(self.clip[place], half)
        guide = _pad(_scale(self.guide[place], half)) * self.preset.peak
        if self.preset.keep_padding:
            frame = _pad(frame)
        return frame, self.matcher.encode(guide)


@torch.no_grad()
def _pair(views: _Views, index: int) -> tuple[Tensor, Tensor]:
    """Compute error and length of the flow of one pair."""
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
        second: the next, the same.
        forward: flow from the first to the second, (1, 2, H, W) in pixels.
        backward: flow from the second to the first, likewise.
        channel_sum: add the channels' errors, not average them.

    Returns:
        Squared error per pixel that is seen in both, a float64 scalar.
    """
    seen = (~occluded(forward, backward)).double()
    difference = (first - warp(second, forward)).double() * seen[:, None]
    total = difference.square().sum()
    count = seen.sum()
    if not count:  # as the reference code: all pixels
        count = count.new_tensor(float(seen.numel()))
    return total / count / (1 if channel_sum else first.shape[1])


def occluded(forward: Tensor, backward: Tensor) -> Tensor:
    """Find pixels that the next frame does not show, or that lie at borders.

    Sundaram et al. 2010: forward and backward flow do not cancel, or the flow
    changes abruptly.

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
    """Look up `x` along a flow, bilinear; outside counts the nearest pixel.

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
    """Repeat the border to sides that are multiples of 8, half before."""
    bottom, right = (-side % _MULTIPLE for side in x.shape[-2:])
    top, left = bottom // 2, right // 2
    pads = (left, right - left, top, bottom - top)
    return F.pad(x, pads, mode='replicate')


def _unpad(x: Tensor, height: int, width: int) -> Tensor:
    """Cut out what `_pad` was given."""
    top, left = (
        (a - b) // 2
        for a, b in zip(x.shape[-2:], (height, width), strict=True)
    )
    return x[..., top : top + height, left : left + width]
