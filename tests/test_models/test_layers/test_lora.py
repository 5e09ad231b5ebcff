import pytest
import torch
from torch import nn

from star.models.layers.lora import LoRA, LoRALinear, add_lora, merge_lora
from tests.test_models.networks import randomize


def network(bias=True):
    torch.manual_seed(0)
    layers = nn.Sequential(
        nn.Linear(6, 8, bias=bias), nn.GELU(), nn.Linear(8, 4)
    )
    add_lora(layers, ['0', '2'], {'type': 'LoRA', 'rank': 3, 'alpha': 2})
    return layers


def test_new_lora_adds_nothing_and_learns():
    x = torch.randn(5, 6)
    layers = network()
    plain = nn.functional.linear(x, layers[0].weight, layers[0].bias)
    assert torch.equal(layers[0](x), plain)
    layers(x).sum().backward()
    assert layers[0].lora.b.grad.abs().max() > 0
    assert sorted(dict(layers.named_parameters())) == [
        '0.bias',
        '0.lora.a',
        '0.lora.b',
        '0.weight',
        '2.bias',
        '2.lora.a',
        '2.lora.b',
        '2.weight',
    ]


@torch.no_grad()
def test_lora_is_alpha_over_rank_times_b_a_x():
    lora = randomize(LoRA(6, 4, rank=3, alpha=2), scale=1)
    x = torch.randn(5, 6)
    expected = 2 / 3 * (x @ lora.a.T @ lora.b.T)
    torch.testing.assert_close(lora(x), expected)


@torch.no_grad()
@pytest.mark.parametrize('bias', [True, False])
def test_merged_computes_the_same_without_lora(bias):
    layers = randomize(network(bias), scale=0.5)
    x = torch.randn(5, 6)
    expected = layers(x)
    without = {k: v.clone() for k, v in layers.state_dict().items()}
    merge_lora(layers)
    torch.testing.assert_close(layers(x), expected)
    assert not any(isinstance(m, LoRALinear) for m in layers.modules())
    assert set(layers.state_dict()) == {
        k for k in without if '.lora.' not in k
    }
    assert not torch.equal(layers[0].weight, without['0.weight'])


def test_wrong_rank_is_named():
    with pytest.raises(ValueError, match='`rank` must be positive, got 0'):
        LoRA(2, 2, rank=0)
