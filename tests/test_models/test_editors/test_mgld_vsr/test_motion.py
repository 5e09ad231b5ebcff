"""MGLD-VSR's guidance on motion that is known."""

import pytest
import torch
from torch import Tensor, nn

from star.models.editors.mgld_vsr.flows import (
    Motion,
    compare_flows,
    find_motion,
)
from star.models.editors.mgld_vsr.motion_guidance import (
    guide,
    motion_gradient,
    motion_loss,
)

SIZE = (12, 20)


def panning(frames: int = 5) -> tuple[Tensor, Motion]:
    """Make latents that move to the left, ever faster, and their motion."""
    generator = torch.Generator().manual_seed(0)
    height, width = SIZE
    places = [i * (i + 3) // 2 for i in range(frames)]  # steps of 2, 3, ...
    wide = torch.randn(4, height, width + places[-1], generator=generator)
    z = torch.stack([wide[..., x : x + width] for x in places])
    to_next = torch.zeros(frames - 1, 2, *SIZE)
    to_next[:, 0] = -2 - torch.arange(frames - 1).view(-1, 1, 1)
    return z, compare_flows(to_next, -to_next)


class Shift(nn.Module):
    """A flow network that keeps what it was given."""

    def both_ways(
        self, clip: Tensor, iterations: int
    ) -> tuple[Tensor, Tensor]:
        self.seen = clip
        flow = torch.ones(len(clip) - 1, 2, *clip.shape[-2:])
        return flow, -flow


def test_what_leaves_the_frame_is_lost():
    _, motion = panning()
    lost = motion.lost_next[0, 0].bool()
    assert lost[:, :2].all() and not lost[:, 2:].any()
    lost = motion.lost_previous[0, 0].bool()
    assert lost[:, -2:].all() and not lost[:, :-2].any()


def test_intended_guidance_leaves_what_agrees():
    z, motion = panning()
    assert float(motion_loss(z, motion, 'intended')) < 1e-5
    assert float(motion_loss(z, motion, 'published')) > 1  # compares with 0
    moved = guide(z, motion, -46.0, 'published')
    changed = (moved - z).abs().amax((1, 2, 3))
    assert changed[1] > 0.05 and changed[3] > 0.05


@pytest.mark.parametrize('kind', ['published', 'intended'])
def test_guidance_descends(kind: str):
    z, motion = panning()
    z = z + 0.3 * torch.randn(
        z.shape, generator=torch.Generator().manual_seed(1)
    )
    with torch.inference_mode():
        before, gradient = motion_gradient(z.clone(), motion, kind)
        moved = guide(z.clone(), motion, -1.0, kind)
        after, _ = motion_gradient(moved, motion, kind)
    assert after < before
    torch.testing.assert_close(moved, z - 10 * gradient)


def test_gradient_is_that_of_differences():
    z, motion = panning(3)
    step = 1e-2
    noisy = z + 0.5 * torch.randn(
        z.shape, generator=torch.Generator().manual_seed(2)
    )
    _, gradient = motion_gradient(noisy, motion, 'intended')
    for place in ((0, 1, 5, 5), (1, 0, 3, 9), (2, 3, 11, 19)):
        losses = []
        for sign in (1, -1):
            other = noisy.clone()
            other[place] += sign * step
            losses.append(float(motion_loss(other, motion, 'intended')))
        slope = (losses[0] - losses[1]) / (2 * step)
        assert float(gradient[place]) == pytest.approx(slope, abs=2e-4)


def test_without_guidance_nothing_moves():
    z, motion = panning()
    assert guide(z, motion, -46.0, 'none') is z
    one = z[:1]
    assert guide(one, motion.cut(0, 0, *SIZE), -46.0) is one


@pytest.mark.parametrize('normalise', [True, False])
def test_motion_of_a_clip(normalise: bool):
    network, clip = Shift(), torch.linspace(-1, 1, 5).view(5, 1, 1, 1)
    clip = clip.expand(-1, 3, 64, 96)
    motion = find_motion(network, clip, normalise)
    assert network.seen.shape == (5, 3, 16, 24)
    assert float(network.seen.min()) == (-1 if normalise else 0)
    assert motion.to_next.shape == (4, 2, 8, 12)
    assert torch.equal(motion.to_next, torch.full((4, 2, 8, 12), 0.5))
    part = motion.cut(1, 2, 3, 4)
    assert [x.shape for x in part] == [(4, c, 3, 4) for c in (2, 2, 1, 1)]
