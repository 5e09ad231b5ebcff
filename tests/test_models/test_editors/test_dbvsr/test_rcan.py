"""RCAN's layers against their description, written out."""

import torch
from torch import Tensor
from torch.nn import functional as F

from star.models.editors.dbvsr.rcan import ResidualGroup, upsampler


def conv(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    weight = state[f'{name}.weight']
    return F.conv2d(
        x, weight, state[f'{name}.bias'], padding=weight.shape[-1] // 2
    )


def block(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    y = conv(conv(x, state, f'{name}.body.0').relu(), state, f'{name}.body.2')
    means = y.flatten(2).mean(2)[:, :, None, None]
    hidden = conv(means, state, f'{name}.body.3.conv_du.0').relu()
    weights = conv(hidden, state, f'{name}.body.3.conv_du.2').sigmoid()
    return x + y * weights


def test_group_from_its_description():
    torch.manual_seed(0)
    group = ResidualGroup(8, num_blocks=2, reduction=4).requires_grad_(False)
    state = group.state_dict()
    x = torch.randn(2, 8, 5, 6)
    before = x.clone()
    y = block(block(x, state, 'body.0'), state, 'body.1')
    expected = x + conv(y, state, 'body.2')
    assert (group(x) - expected).abs().max() < 1e-6
    assert torch.equal(x, before)
    assert state['body.0.body.3.conv_du.0.weight'].shape == (2, 8, 1, 1)


def test_upsampler_enlarges_by_two_for_each_doubling():
    torch.manual_seed(0)
    layers = upsampler(4, 2).requires_grad_(False)
    state, x = layers.state_dict(), torch.randn(1, 4, 3, 5)
    expected = F.pixel_shuffle(conv(x, state, '0'), 2)
    expected = F.pixel_shuffle(conv(expected, state, '2'), 2)
    assert expected.shape == (1, 4, 12, 20)
    assert torch.allclose(layers(x), expected, atol=1e-6)
