"""Convolutions that take one library on a CPU."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from star.models.layers.same_conv import clip_conv, prevent_unfolding
from star.utils.shape_run import ShapeRun, without_content


@pytest.mark.parametrize('stride', [(1, 1, 1), (2, 2, 2), (1, 2, 2)])
@pytest.mark.parametrize('padding', [(0, 0, 0), (0, 1, 1)])
def test_a_clip_is_convolved(
    stride: tuple[int, ...], padding: tuple[int, ...]
) -> None:
    x, weight = torch.randn(1, 4, 5, 9, 8), torch.randn(6, 4, 3, 3, 3)
    bias = torch.randn(6)
    out = clip_conv(x, weight, bias, padding, stride)
    exact = F.conv3d(
        x.double(), weight.double(), bias.double(), stride, padding
    )
    torch.testing.assert_close(out.double(), exact, atol=1e-4, rtol=0)


def test_other_numbers_and_gradients() -> None:
    """Half the bits, twice the bits, and training go on as before."""
    layer = nn.Conv3d(3, 4, 3, padding=1)
    other = copy.deepcopy(layer)
    prevent_unfolding(other)
    x = torch.randn(1, 3, 3, 6, 6)
    for network in (layer, other):
        network(x).square().sum().backward()
    torch.testing.assert_close(other.weight.grad, layer.weight.grad)
    torch.testing.assert_close(other.bias.grad, layer.bias.grad)
    for dtype in (torch.float64, torch.bfloat16):
        x = x.to(dtype)
        assert torch.equal(other.to(dtype)(x), layer.to(dtype)(x))


def test_nothing_is_unfolded() -> None:
    """Neither in truth, nor where memory is counted; copies keep that."""
    layer = nn.Sequential(nn.Conv3d(8, 8, 3, bias=False))
    prevent_unfolding(layer)
    copied = without_content(copy.deepcopy(layer))
    with ShapeRun() as run, torch.inference_mode():
        x = torch.empty(1, 8, 5, 34, 34, device='meta')
        copied(x)
    out = 8 * 3 * 32 * 32 * 4
    # oneDNN orders the input anew; unfolding would take 27 times `out`
    assert run.peak == pytest.approx(out + 2 * x.nbytes, rel=0.05)
