"""RRDBNet, from its description and against spandrel's."""

import pytest
import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F

from star.models.editors.real_esrgan.rrdbnet import RRDBNet
from tests.test_models.test_editors.test_real_esrgan.spandrel_nets import (
    spandrel_net,
)


def described(x: Tensor, state: dict[str, Tensor], fold: int) -> Tensor:
    """Compute the network from its file's tensors alone."""

    def conv(y: Tensor, name: str) -> Tensor:
        return F.conv2d(
            y, state[f'{name}.weight'], state[f'{name}.bias'], 1, 1
        )

    def leaky(y: Tensor) -> Tensor:
        return torch.where(y > 0, y, 0.2 * y)

    y = rearrange(x, 'n c (h p) (w q) -> n (c p q) h w', p=fold, q=fold)
    first = y = conv(y, 'conv_first')
    blocks = 1 + max(int(k.split('.')[1]) for k in state if 'rdb' in k)
    for i in range(blocks):
        outer = y
        for j in (1, 2, 3):
            name = f'body.{i}.rdb{j}.conv'
            inner, seen = y, y
            for k in (1, 2, 3, 4):
                seen = torch.cat((seen, leaky(conv(seen, f'{name}{k}'))), 1)
            y = inner + 0.2 * conv(seen, f'{name}5')
        y = outer + 0.2 * y
    y = first + conv(y, 'conv_body')
    for name in ('conv_up1', 'conv_up2'):
        y = repeat(y, 'n c h w -> n c (h p) (w q)', p=2, q=2)
        y = leaky(conv(y, name))
    return conv(leaky(conv(y, 'conv_hr')), 'conv_last')


@pytest.mark.parametrize(
    ('num_blocks', 'scale', 'count'),
    [(23, 4, 16_697_987), (23, 2, 16_703_171), (6, 4, 4_467_779)],
)
def test_number_of_parameters(num_blocks: int, scale: int, count: int):
    with torch.device('meta'):
        network = RRDBNet(num_blocks, scale=scale)
    assert sum(p.numel() for p in network.parameters()) == count


def test_names_are_the_official_ones():
    with torch.device('meta'):
        state = RRDBNet(2).state_dict()
    modules = ['conv_first', 'conv_body', 'conv_up1', 'conv_up2']
    modules += ['conv_hr', 'conv_last']
    modules += [
        f'body.{i}.rdb{j}.conv{k}'
        for i in range(2)
        for j in (1, 2, 3)
        for k in (1, 2, 3, 4, 5)
    ]
    names = {f'{m}.{kind}' for m in modules for kind in ('weight', 'bias')}
    assert set(state) == names
    assert state['body.1.rdb3.conv5.weight'].shape == (64, 192, 3, 3)


@pytest.mark.parametrize('scale', [1, 2, 4])
def test_network_from_its_description(scale: int):
    torch.manual_seed(scale)
    network = RRDBNet(2, dim=16, growth=8, scale=scale)
    x = torch.rand(2, 3, 8, 12)
    before = x.clone()
    with torch.no_grad():
        out = network(x)
        expected = described(x, network.state_dict(), 4 // scale)
    assert out.shape == (2, 3, 8 * scale, 12 * scale)
    assert (out - expected).abs().max() < 1e-5
    assert torch.equal(x, before)


@pytest.mark.parametrize(('num_blocks', 'scale'), [(2, 4), (2, 2), (6, 4)])
def test_equals_spandrel(num_blocks: int, scale: int):
    torch.manual_seed(num_blocks)
    network = RRDBNet(num_blocks, scale=scale)
    other = spandrel_net('ESRGAN', network.state_dict())
    x = torch.rand(1, 3, 20, 28)
    with torch.no_grad():
        assert (network(x) - other(x)).abs().max() < 1e-5


def test_can_be_trained_on():
    """What is overwritten in `forward` is nothing that gradients need."""
    torch.manual_seed(0)
    network = RRDBNet(1, dim=4, growth=4).double()
    x = torch.rand(1, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, (x,), fast_mode=True)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'scale': 3}, '`scale` must be 1, 2 or 4, got 3'),
        ({'num_blocks': 0}, '`num_blocks` must be at least 1, got 0'),
    ],
)
def test_refuses_networks_that_do_not_exist(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        RRDBNet(**arguments)
