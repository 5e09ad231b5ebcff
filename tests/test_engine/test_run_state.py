import random

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from star.engine.checkpointing import plain
from star.engine.run_state import (
    digest_frozen,
    first_nonfinite,
    get_histories,
    get_rng_state,
    load_trained,
    set_histories,
    set_rng_state,
    trained_parameters,
)


def model():
    """Frozen 'a', trained 'b' with the buffers of a normalisation."""
    net = nn.ModuleDict({'a': nn.Linear(2, 3), 'b': nn.BatchNorm1d(3)})
    net['a'].requires_grad_(False)
    return net


BUFFERS = {'b.running_mean', 'b.running_var', 'b.num_batches_tracked'}


def trained_state(net):
    """Collect what a checkpoint must hold at least."""
    state = net.state_dict()
    return {name: state[name] for name in {'b.weight', 'b.bias'} | BUFFERS}


def test_what_is_trained():
    assert trained_parameters(model()).keys() == {'b.weight', 'b.bias'}


def test_loads_trained_weights_in_place():
    source, target = model(), model()
    nn.init.normal_(source['b'].weight)
    source['b'].running_mean.fill_(3)
    parameter, frozen = target['b'].weight, target['a'].weight.clone()
    load_trained(target, trained_state(source))
    assert target['b'].weight is parameter
    assert parameter.equal(source['b'].weight)
    assert target['b'].running_mean.equal(torch.full((3,), 3.0))
    assert target['a'].weight.equal(frozen)
    load_trained(target, source.state_dict())  # frozen ones as well
    assert target['a'].weight.equal(source['a'].weight)


@pytest.mark.parametrize(
    'change, message',
    [
        ({'b.bias': None}, r'1 missing \(b\.bias'),
        ({'c.x': torch.ones(1)}, r'1 unknown \(c\.x'),
        ({'b.bias': torch.ones(4)}, r'1 of another shape \(b\.bias'),
    ],
)
def test_loading_is_strict(change, message):
    net = model()
    weights = {**trained_state(net), **change}
    weights = {k: v for k, v in weights.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        load_trained(net, weights)


def test_digest_tells_frozen_weights_apart():
    net, other = model(), model()
    other['a'].load_state_dict(net['a'].state_dict())
    nn.init.normal_(other['b'].weight)  # is trained
    assert digest_frozen(net) == digest_frozen(other)
    assert digest_frozen(net).keys() == {'a'}
    with torch.no_grad():
        other['a'].bias[1] += 1e-3
    assert digest_frozen(net) != digest_frozen(other)


def test_finds_the_first_bad_tensor():
    tensors = {'a': torch.ones(2), 'n': torch.ones(2, dtype=torch.long)}
    assert first_nonfinite(tensors) is None
    tensors['b'] = torch.tensor([1.0, -torch.inf])
    tensors['c'] = torch.tensor([torch.nan])
    assert first_nonfinite(tensors) == 'b'


def draw():
    return [
        random.random(),
        random.gauss(0, 1),
        np.random.rand(),
        np.random.randn(),
        torch.rand(1).item(),
    ]


def test_random_states_return(tmp_path):
    draw()  # numpy and Python then keep a second Gaussian draw
    torch.save(plain(get_rng_state()), tmp_path / 'rng.pt')
    expected = draw() + draw()
    draw()
    set_rng_state(torch.load(tmp_path / 'rng.pt', weights_only=True))
    assert draw() + draw() == expected


def test_histories_return(tmp_path):
    hub = MessageHub.get_instance('histories_a')
    for value in (1.5, 2.5, 4.0):
        hub.update_scalar('train/loss', value, count=2)
    hub.update_scalar('time', 1.0, resumed=False)
    hub.update_info('iter', 3)
    torch.save(get_histories(hub), tmp_path / 'h.pt')
    loaded = torch.load(tmp_path / 'h.pt', weights_only=True)
    assert loaded.keys() == {'train/loss'}
    other = MessageHub.get_instance('histories_b')
    set_histories(other, loaded)
    other.update_scalar('train/loss', 0.0, count=2)
    assert other.get_scalar('train/loss').data[0].tolist() == [1.5, 2.5, 4, 0]
    assert other.get_scalar('train/loss').mean(2) == 1.0
    assert other.get_info('iter') is None
