"""Propagation along motions that are known."""

import pytest
import torch
from torch import Tensor

from star.models.editors.upscale_a_video.propagation import (
    Propagation,
    PropagationRule,
    find_valid,
    fit_flows,
)


def moving(frames: int) -> tuple[Tensor, Tensor, Tensor]:
    """Make latents that move by two columns a frame, and their flows."""
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(1, 4, 6, 40, generator=generator)
    x = torch.stack(
        [wide[..., 20 - 2 * i : 32 - 2 * i] for i in range(frames)], 2
    )
    flow = torch.zeros(frames - 1, 2, 6, 12)
    flow[:, 0] = 2
    return x, flow, -flow


def test_what_moves_as_the_flow_says_stays():
    x, forward, backward = moving(5)
    propagation = Propagation(forward, backward, (6, 12))
    torch.testing.assert_close(propagation(x), x)
    # pixels that leave the frame have no valid flow
    assert propagation.valid_forward.mean() == pytest.approx(10 / 12)


def test_differences_shrink_where_flows_are_valid():
    x, forward, backward = moving(5)
    noisy = x + torch.randn(
        x.shape, generator=torch.Generator().manual_seed(1)
    )
    found = Propagation(forward, backward, (6, 12))(noisy)
    assert (found - x).std() < 0.8 * (noisy - x).std()
    # a flow that leads to nothing changes nothing
    far = torch.full_like(forward, 50)
    assert torch.equal(Propagation(far, far, (6, 12))(noisy), noisy)


def test_one_frame_passes_to_all():
    x, forward, backward = moving(4)
    marked = torch.zeros_like(x)
    marked[:, :, -1, :, 8] = 1
    rule = PropagationRule(share=1)
    found = Propagation(forward, backward, (6, 12), rule)(marked)
    columns = found[0, 0, :, 0].argmax(-1).tolist()
    assert columns == [2, 4, 6, 8]


def test_a_flow_and_its_way_back_must_agree():
    flow = torch.zeros(1, 2, 5, 9)
    flow[:, 0] = 1.5
    for error, valid in ((0.1, True), (0.5, False)):
        mask = find_valid(flow, -flow + error, PropagationRule())
        assert mask.shape == (1, 1, 5, 9)
        assert bool(mask[..., 3].all()) is valid


def test_flows_shrink_with_the_latents():
    flows = torch.full((3, 2, 8, 12), 4.0)
    small = fit_flows(flows, (4, 6))
    assert torch.equal(small, torch.full((3, 2, 4, 6), 2.0))
    assert fit_flows(flows, (8, 12)) is flows
