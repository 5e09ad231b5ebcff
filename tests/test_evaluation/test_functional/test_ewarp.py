"""Flow warping error with flows that are known exactly."""

import numpy as np
import pytest
import torch
from torch import Tensor

from star.evaluation.functional.ewarp import (
    PRESETS,
    ewarp,
    ewarp_details,
    occluded,
    warp,
    warping_error,
)


def pattern(frames: int = 3, height: int = 48, width: int = 64) -> Tensor:
    """Make a textured clip that moves two pixels right at each frame."""
    generator = torch.Generator().manual_seed(0)
    shape = (3, height, width + 2 * frames)
    whole = torch.randint(0, 256, shape, generator=generator)
    starts = range(2 * frames, 0, -2)
    shifted = [whole[..., s : s + width] for s in starts]
    return torch.stack(shifted).to(torch.uint8)


def uniform(dx: float, dy: float, height: int, width: int) -> Tensor:
    flow = torch.tensor([dx, dy], dtype=torch.float32).view(1, 2, 1, 1)
    return flow.expand(1, 2, height, width).clone()


class Fixed:
    """A flow network that always answers the same, in both directions."""

    def __init__(self, dx: float, dy: float = 0) -> None:
        self.dx, self.dy = dx, dy
        self.seen: list[Tensor] = []

    def __call__(self, first: Tensor, second: Tensor) -> Tensor:
        assert first.shape == second.shape
        assert torch.equal(first.flip(0), second)
        self.seen.append(first)
        flow = uniform(self.dx, self.dy, *first.shape[-2:])
        return torch.cat([flow, -flow])


class Once(Fixed):
    """The same as a network that looks at each frame once."""

    def encode(self, frame: Tensor) -> Tensor:
        self.seen.append(frame)
        return frame

    def both_ways(self, first: Tensor, second: Tensor) -> Tensor:
        flow = uniform(self.dx, self.dy, *first.shape[-2:])
        return torch.cat([flow, -flow])


def look_up(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Interpolate one point of (C, H, W), clamped; plain loops."""
    _, height, width = image.shape
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    total = np.zeros(len(image))
    for j in (0, 1):
        for i in (0, 1):
            share = (x - x0 if i else 1 - x + x0) * (
                y - y0 if j else 1 - y + y0
            )
            row = min(max(y0 + j, 0), height - 1)
            column = min(max(x0 + i, 0), width - 1)
            total += share * image[:, row, column]
    return total


def test_warp_against_plain_loops():
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(1, 2, 7, 9, generator=generator)
    flow = 6 * torch.randn(1, 2, 7, 9, generator=generator)
    found = warp(x, flow)[0]
    for row in range(7):
        for column in range(9):
            dx, dy = flow[0, :, row, column].tolist()
            expected = look_up(x[0].numpy(), column + dx, row + dy)
            assert found[:, row, column].numpy() == pytest.approx(
                expected, abs=2e-5
            )


def test_translation_is_found_inside_the_frame():
    """Away from the border that moves in, the exact flow leaves nothing."""
    first, second = pattern()[:2].float() / 255
    back = warp(second[None], uniform(2, 0, 48, 64))
    assert (back[0, ..., :-2] - first[..., :-2]).abs().max() < 1e-4


def test_only_the_border_is_wrong_for_a_translation():
    clip = pattern()
    value = ewarp(Fixed(2), clip, 'lai')
    first, second = clip[0].double() / 255, clip[1].double() / 255
    edge = second[..., -1:].expand(-1, -1, 2)
    wrong = (first[..., -2:] - edge).square().sum() / (3 * 48 * 64)
    pairs = ewarp_details(Fixed(2), clip, 'lai').errors
    assert pairs[0].item() == pytest.approx(wrong.item(), rel=1e-4)
    assert value == pytest.approx(pairs.mean().item())


@pytest.mark.parametrize('preset', PRESETS)
def test_a_still_clip_has_no_error(preset: str):
    clip = pattern(1).expand(3, -1, -1, -1)
    assert ewarp(Fixed(0), clip, preset) == pytest.approx(0, abs=1e-10)


def test_what_the_network_is_given():
    """Half size and [0, 1], half size and [0, 255], full size and padded."""
    clip = pattern(2, 44, 60)
    shapes, peaks = [], []
    for preset in ('evalcrafter', 'evalcrafter_fixed', 'lai'):
        flow = Fixed(0)
        ewarp(flow, clip, preset)
        shapes.append(tuple(flow.seen[0].shape))
        peaks.append(flow.seen[0].max().item())
    assert shapes == [(2, 3, 24, 32), (2, 3, 24, 32), (2, 3, 48, 64)]
    assert peaks[0] == pytest.approx(peaks[1] / 255)
    assert 0.9 < peaks[0] <= 1
    assert peaks[2] == 255


def test_each_frame_is_encoded_once():
    clip, flow = pattern(6), Once(2)
    found = ewarp_details(flow, clip, 'lai').errors
    assert len(flow.seen) == 6
    for i, frame in enumerate(flow.seen):
        assert torch.equal(frame[0], clip[i].float())
    whole = ewarp_details(Fixed(2), clip, 'lai').errors
    assert torch.equal(found, whole)


def test_some_pairs_and_their_flow():
    clip, flow = pattern(6), Once(3, 4)
    found = ewarp_details(flow, clip, 'lai', pairs=[0, 3])
    assert len(flow.seen) == 4
    whole = ewarp_details(Fixed(3, 4), clip, 'lai').errors
    assert torch.equal(found.errors, whole[[0, 3]])
    assert found.flow.tolist() == [5, 5]


def test_channels_are_added_or_averaged():
    first, second = pattern(2).float().split(1)
    flow = uniform(0, 0, 48, 64)
    added = warping_error(first, second, flow, flow)
    averaged = warping_error(first, second, flow, flow, channel_sum=False)
    expected = (first - second).double().square().mean()
    assert averaged.item() == pytest.approx(expected.item())
    assert added.item() == pytest.approx(3 * expected.item())


def test_occlusion_where_flows_do_not_cancel():
    forward = uniform(2, 0, 8, 10)
    backward = uniform(-2, 0, 8, 10)
    assert not occluded(forward, backward).any()
    backward[..., 5:] = 3
    hidden = occluded(forward, backward)
    assert hidden[..., 3:].all()
    assert not hidden[..., :3].any()


def test_occlusion_at_motion_boundaries():
    """A step of one pixel: the pixel before it counts, and no other."""
    forward = uniform(0, 0, 6, 8)
    forward[:, 1, 3:] = 1
    expected = torch.zeros(1, 6, 8, dtype=torch.bool)
    expected[:, 2] = True
    assert torch.equal(occluded(forward, -forward), expected)


def test_nothing_seen_counts_every_pixel():
    first, second = pattern(2).float().split(1)
    forward, backward = uniform(9, 0, 48, 64), uniform(9, 0, 48, 64)
    assert occluded(forward, backward).all()
    assert warping_error(first, second, forward, backward) == 0


@pytest.mark.parametrize(
    ('clip', 'preset', 'message'),
    [
        (pattern(1), 'lai', 'at least 2 frames, got 1'),
        (pattern(2).float(), 'lai', '`clip` must be'),
        (pattern(2), 'star', '`preset` must be one of evalcrafter'),
    ],
)
def test_refuses(clip: Tensor, preset: str, message: str):
    with pytest.raises(ValueError, match=message):
        ewarp(Fixed(0), clip, preset)
