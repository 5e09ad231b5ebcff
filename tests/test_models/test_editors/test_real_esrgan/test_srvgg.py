"""SRVGGNetCompact, from its description and against spandrel's."""

import pytest
import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F

from star.models.editors.real_esrgan.srvgg import SRVGGNetCompact
from tests.test_models.test_editors.test_real_esrgan.spandrel_nets import (
    spandrel_net,
)


def described(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Compute the network from its file's tensors alone, four times."""
    last = max(int(name.split('.')[1]) for name in state)
    y = x
    for i in range(last + 1):
        weight = state[f'body.{i}.weight']
        if weight.ndim == 1:
            y = torch.where(y > 0, y, y * weight.view(1, -1, 1, 1))
        else:
            y = F.conv2d(y, weight, state[f'body.{i}.bias'], padding=1)
    y = rearrange(y, 'n (c p q) h w -> n c (h p) (w q)', p=4, q=4)
    return y + repeat(x, 'n c h w -> n c (h p) (w q)', p=4, q=4)


@pytest.mark.parametrize(
    ('num_conv', 'count'), [(32, 1_213_296), (16, 621_424)]
)
def test_number_of_parameters(num_conv: int, count: int):
    with torch.device('meta'):
        network = SRVGGNetCompact(num_conv)
    assert sum(p.numel() for p in network.parameters()) == count


def test_network_from_its_description():
    torch.manual_seed(0)
    network = SRVGGNetCompact(3, dim=8)
    x = torch.rand(2, 3, 6, 7)
    before = x.clone()
    with torch.no_grad():
        expected = described(x, network.state_dict())
        assert (network(x) - expected).abs().max() < 1e-6
    assert torch.equal(x, before)


@pytest.mark.parametrize(('num_conv', 'scale'), [(16, 4), (3, 2), (0, 3)])
def test_equals_spandrel(num_conv: int, scale: int):
    torch.manual_seed(num_conv)
    network = SRVGGNetCompact(num_conv, scale=scale)
    other = spandrel_net('Compact', network.state_dict())
    x = torch.rand(2, 3, 17, 24)
    with torch.no_grad():
        assert (network(x) - other(x)).abs().max() < 1e-5
