"""LoRA in PEFT's form: names, strengths, what does not fit."""

import pytest
import torch
from torch import nn

from star.models.layers.adapters import (
    adapters_of,
    add_adapter,
    remove_adapters,
    updates_of,
    weigh_adapters,
)
from star.models.layers.peft_form import (
    Update,
    peft_state,
    read_updates,
)


@pytest.fixture
def network():
    inner = nn.ModuleDict(
        {'to_q': nn.Linear(6, 4), 'conv': nn.Conv2d(2, 2, 1)}
    )
    return nn.ModuleDict({'blocks': nn.ModuleList([inner])}).eval()


@pytest.fixture
def layers(network):
    return dict(network.named_modules())


A, B = torch.randn(2, 6), torch.randn(4, 2)


def halves(name, a, b):
    return {f'{name}.lora_A.weight': a, f'{name}.lora_B.weight': b}


@pytest.mark.parametrize(
    'prefix',
    ['', 'transformer.', 'diffusion_model.', 'base_model.model.transformer.'],
)
@pytest.mark.parametrize(
    ('a', 'b'),
    [
        ('lora_A.weight', 'lora_B.weight'),
        ('lora_A.default.weight', 'lora_B.default.weight'),
        ('lora_down.weight', 'lora_up.weight'),
    ],
)
def test_names(layers, prefix, a, b):
    name = f'{prefix}blocks.0.to_q'
    state = {f'{name}.{a}': A, f'{name}.{b}': B}
    assert read_updates(state, layers) == {'blocks.0.to_q': Update(A, B, 2)}
    alpha = {f'{name}.alpha': torch.tensor(8.0)}
    (update,) = read_updates({**state, **alpha}, layers).values()
    assert update.alpha == 8


@pytest.mark.parametrize(
    ('config', 'alpha'),
    [
        ({'lora_alpha': 3}, 3),
        ({'lora_alpha': 3, 'alpha_pattern': {'to_q': 5}}, 5),
        ({'lora_alpha': 3, 'alpha_pattern': {'to_k': 5}}, 3),
        ({'lora_alpha': 3, 'use_rslora': True}, 3 * 2**0.5),
    ],
)
def test_strength_of_a_config(layers, config, alpha):
    name = 'blocks.0.to_q'
    state = halves(name, A, B)
    (update,) = read_updates(state, layers, config).values()
    assert update.alpha == pytest.approx(alpha)


@pytest.mark.parametrize(
    ('state', 'reason'),
    [
        (
            {
                'blocks.1.to_q.lora_A.weight': A,
                'blocks.1.to_q.lora_B.weight': B,
            },
            'blocks.1.to_q: there is no such layer',
        ),
        (
            {'blocks.0.to_q.lora_A.weight': A},
            'blocks.0.to_q: has lora_A without the other half',
        ),
        (
            {
                'blocks.0.to_q.lora_A.weight': B,
                'blocks.0.to_q.lora_B.weight': A,
            },
            r'A is \(4, 2\) and B \(2, 6\), but must be \(rank, 6\) and \(4,',
        ),
        (
            {
                'blocks.0.conv.lora_A.weight': A,
                'blocks.0.conv.lora_B.weight': B,
            },
            'only linear layers',
        ),
        ({'blocks.0.to_q.lora_magnitude_vector': A}, 'of no known kind'),
        ({'blocks.0.to_q.alpha': torch.ones(())}, 'a strength of nothing'),
        (
            {
                'blocks.0.to_q.lora_A.weight': A,
                'transformer.blocks.0.to_q.lora_down.weight': A,
            },
            'several tensors are half A',
        ),
    ],
)
def test_misfits_are_named(layers, state, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        read_updates(state, layers)
    assert '\n' not in str(caught.value)


@torch.no_grad()
def test_adapters_add_up_and_go(network):
    layer, x = network.get_submodule('blocks.0.to_q'), torch.randn(3, 6)
    plain, keys = layer(x), list(network.state_dict())
    name = 'blocks.0.to_q'
    add_adapter(network, 'one', {name: Update(A, B, 8)})
    add_adapter(network, 'two', {name: Update(A.flip(0), B, 2)})
    weigh_adapters(network, {'one': 0.5, 'two': 1})
    expected = plain + 2 * x @ A.T @ B.T + x @ A.flip(0).T @ B.T
    got = network.get_submodule(name)(x)
    torch.testing.assert_close(got, expected)
    assert adapters_of(network) == {'one': 0.5, 'two': 1}
    assert updates_of(network, 'one')[name].alpha == 8
    weigh_adapters(network, {})
    assert network.get_submodule(name)(x).equal(plain)
    with pytest.raises(
        ValueError, match="no adapter 'three'; there are: one,"
    ):
        weigh_adapters(network, {'three': 1})
    with pytest.raises(ValueError, match="an adapter 'one' already"):
        add_adapter(network, 'one', {})
    with pytest.raises(ValueError, match='must be a plain word'):
        add_adapter(network, 'a.b', {})
    remove_adapters(network)
    assert list(network.state_dict()) == keys
    assert network.get_submodule(name)(x).equal(plain)


def test_written_form_loads_equal(layers):
    update = Update(A, B, 2 / 512)
    state = peft_state({'blocks.0.to_q': update})
    assert list(state) == [
        'transformer.blocks.0.to_q.lora_A.weight',
        'transformer.blocks.0.to_q.lora_B.weight',
    ]
    (found,) = read_updates(state, layers).values()
    assert found.a.equal(A) and found.b.equal(B / 512) and found.alpha == 2
