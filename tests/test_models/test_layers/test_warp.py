"""Warping against a slow loop over pixels."""

import math

import pytest
import torch
from torch import Tensor

from star.models.layers.warp import flow_warp


def at(picture: Tensor, row: float, column: float, padding: str) -> Tensor:
    """Interpolate one point of a (C, h, w) picture."""
    height, width = picture.shape[-2:]
    if padding == 'border':
        row = min(max(row, 0), height - 1)
        column = min(max(column, 0), width - 1)
    value = torch.zeros(len(picture), dtype=torch.float64)
    top, left = math.floor(row), math.floor(column)
    for i in (top, top + 1):
        for j in (left, left + 1):
            if 0 <= i < height and 0 <= j < width:
                share = (1 - abs(row - i)) * (1 - abs(column - j))
                value += share * picture[:, i, j]
    return value


def looped(x: Tensor, flow: Tensor, padding: str) -> Tensor:
    out = torch.zeros_like(x)
    for n in range(len(x)):
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                right, down = flow[n, :, i, j].tolist()
                out[n, :, i, j] = at(x[n], i + down, j + right, padding)
    return out


def case() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 5, 7, generator=generator, dtype=torch.float64)
    flow = torch.randn(2, 2, 5, 7, generator=generator, dtype=torch.float64)
    return x, 3 * flow  # many of them leave the picture


@pytest.mark.parametrize('padding', ['zeros', 'border'])
def test_equals_a_loop(padding: str):
    x, flow = case()
    expected = looped(x, flow, padding)
    found = flow_warp(x, flow, padding)
    assert (found - expected).abs().max() < 1e-12
    in_float = flow_warp(x.float(), flow.float(), padding)
    assert (in_float - expected).abs().max() < 1e-5


def test_paddings_differ_and_zeros_is_the_default():
    x, flow = case()
    zeros, border = (flow_warp(x, flow, p) for p in ('zeros', 'border'))
    assert torch.equal(flow_warp(x, flow), zeros)
    assert (zeros - border).abs().max() > 0.1


def test_whole_pixels_are_fetched_from_where_the_flow_points():
    x, flow = case()
    flow[:, 0], flow[:, 1] = 2, -1
    out = flow_warp(x, flow)
    assert (out[..., 1:, :-2] - x[..., :-1, 2:]).abs().max() < 1e-12
    assert out[..., :1, :].abs().max() < 1e-12  # comes from outside
    assert out[..., -2:].abs().max() < 1e-12


def test_takes_the_nearest_pixel():
    x, flow = case()
    found = flow_warp(x, flow, 'border', mode='nearest')
    assert torch.equal(found, looped(x, flow.round(), 'border'))
    assert not torch.equal(found, flow_warp(x, flow, 'border'))


def test_positions_are_exact_in_half_precision():
    x = torch.arange(400).remainder(2).to(torch.bfloat16).expand(1, 1, 1, -1)
    out = flow_warp(x, x.new_zeros(1, 2, 1, 400))
    assert out.dtype == torch.bfloat16
    assert (out - x).abs().max() < 1e-4  # even and odd columns differ by 1


def test_one_row_and_one_column():
    x = torch.tensor([[[[1.0, 2.0, 4.0]]]])
    flow = torch.zeros(1, 2, 1, 3)
    flow[:, 0] = 0.5
    expected = torch.tensor([[[[1.5, 3.0, 4.0]]]])
    for picture, field, wanted in (
        (x, flow, expected),
        (x.mT, flow.flip(1).mT, expected.mT),
    ):
        out = flow_warp(picture, field, 'border')
        assert (out - wanted).abs().max() < 1e-6


def test_refuses_wrong_arguments():
    x, flow = case()
    with pytest.raises(ValueError, match=r"`padding` must be in .*'mirror'"):
        flow_warp(x, flow, 'mirror')
    with pytest.raises(ValueError, match=r"`mode` must be in .*'cubic'"):
        flow_warp(x, flow, mode='cubic')
    with pytest.raises(ValueError, match=r'`flow` must be \(2, 2, 5, 7\)'):
        flow_warp(x, flow[:1])
    with pytest.raises(ValueError, match='`flow` must be'):
        flow_warp(x, flow.permute(0, 2, 3, 1))
