"""PWC-Net's parts against loops and identities."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from star.models.editors.dbvsr.pwcnet import (
    PWCNet,
    correlate,
    coverage,
    warp_inside,
)


def noise(*shape: int, seed: int = 0, scale: float = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator)


@pytest.fixture(scope='module')
def network() -> PWCNet:
    torch.manual_seed(0)
    return PWCNet().eval().requires_grad_(False)


def test_number_of_parameters():
    with torch.device('meta'):
        made = PWCNet()
    assert sum(p.numel() for p in made.parameters()) == 9_374_274


def test_correlation_equals_a_loop():
    first, second = noise(2, 5, 4, 6), noise(2, 5, 4, 6, seed=1)
    found = correlate(first, second, radius=2)
    expected = torch.zeros(2, 25, 4, 6)
    for down in range(-2, 3):
        for right in range(-2, 3):
            for i in range(4):
                for j in range(6):
                    if 0 <= i + down < 4 and 0 <= j + right < 6:
                        product = (
                            first[..., i, j] * second[..., i + down, j + right]
                        )
                        index = (down + 2) * 5 + right + 2
                        expected[:, index, i, j] = product.mean(1)
    assert (found - expected).abs().max() < 1e-6


def test_coverage_is_what_sampling_ones_gives():
    flow = noise(2, 2, 5, 7, scale=3).double()
    ones = torch.ones(2, 1, 5, 7, dtype=torch.float64)
    rows = torch.arange(5)[:, None] + flow[:, 1]
    columns = torch.arange(7) + flow[:, 0]
    grid = torch.stack([columns / 3 - 1, rows / 2 - 1], -1)
    expected = F.grid_sample(
        ones, grid, padding_mode='zeros', align_corners=True
    )
    assert (coverage(flow) - expected).abs().max() < 1e-12
    assert 0.2 < expected.mean() < 0.8


def test_warp_keeps_only_what_comes_from_inside():
    x = 1 + noise(1, 3, 4, 6).abs()
    flow = torch.zeros(1, 2, 4, 6)
    flow[:, 0] = 2
    moved = warp_inside(x, flow, 'border')
    assert (moved[..., :4] - x[..., 2:]).abs().max() < 1e-5
    assert not moved[..., 4:].any()
    # less than a thousandth of a pixel outside is inside
    near, far = (
        warp_inside(x, torch.full_like(flow, -shift)) for shift in (4e-4, 0.01)
    )
    assert (near - x).abs().max() < 5e-3
    assert not far[..., 0].any()
    assert not far[..., 0, :].any()
    assert far[..., 1:, 1:].all()


def test_flow_is_scaled_to_the_size_of_the_frames(
    network: PWCNet, monkeypatch: pytest.MonkeyPatch
):
    """A side of 100 is seen as 128, one of 64 as it is."""
    sizes = []

    def constant(first: list[Tensor], second: list[Tensor]) -> Tensor:
        sizes.append([tuple(x.shape[-2:]) for x in first])
        return torch.ones_like(first[0][:, :2])

    monkeypatch.setattr(network, 'quarter_flow', constant)
    flow = network(noise(1, 3, 64, 100), noise(1, 3, 64, 100))
    assert sizes == [[(16, 32), (8, 16), (4, 8), (2, 4), (1, 2)]]
    assert flow.shape == (1, 2, 64, 100)
    torch.testing.assert_close(flow[:, 0], torch.full((1, 64, 100), 15.625))
    torch.testing.assert_close(flow[:, 1], torch.full((1, 64, 100), 20.0))


def test_frames_do_not_see_one_another(network: PWCNet):
    first, second = noise(2, 3, 40, 70), noise(2, 3, 40, 70, seed=1)
    both = network(first, second)
    alone = network(first[1:], second[1:])
    assert both.abs().max() > 0.1
    assert (both[1:] - alone).abs().max() < 1e-4


def test_one_pixel(network: PWCNet):
    flow = network(noise(1, 3, 1, 1), noise(1, 3, 1, 1))
    assert flow.shape == (1, 2, 1, 1)
    assert flow.isfinite().all()
