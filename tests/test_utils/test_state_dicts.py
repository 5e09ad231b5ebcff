import pytest
import torch
from torch import nn

from star.utils.state_dicts import describe_misfits, find_misfits, load_strict
from star.utils.tensor_files import held

OWN = {'a': torch.zeros(2), 'b': torch.zeros(3), 'c': torch.zeros(1)}


def test_what_fits():
    assert find_misfits(OWN, OWN) == ''
    assert find_misfits(OWN, {'a': torch.ones(2)}, {'a'}) == ''
    assert find_misfits(OWN, {k: held(v) for k, v in OWN.items()}) == ''


def test_what_does_not():
    given = {'b': torch.zeros(2), 'd': torch.zeros(1), 'e': torch.zeros(1)}
    assert find_misfits(OWN, given) == (
        '2 missing (a, c), 2 unknown (d, e), 1 of another shape '
        '(b is (2,) not (3,))'
    )
    assert find_misfits(OWN, given, {'b', 'c'}).startswith('1 missing (c), ')


def test_long_lists_are_cut():
    found = describe_misfits(set('abcd'), set())
    assert found == '4 missing (a, b, c, ...)'
    assert describe_misfits(set(), set()) == ''


def test_loading_is_strict():
    layer = nn.Linear(3, 2)
    state = {'weight': torch.arange(6.0).view(2, 3), 'bias': torch.ones(2)}
    load_strict(layer, state, 'file')
    assert layer.weight.equal(state['weight'])
    assert layer.weight.data_ptr() != state['weight'].data_ptr()
    before = {k: v.clone() for k, v in layer.state_dict().items()}
    with pytest.raises(ValueError, match=r'^file does not fit Linear: .*bias'):
        load_strict(layer, {'weight': torch.zeros(2, 3)}, 'file')
    with pytest.raises(ValueError, match=r'weight is \(2, 3\) not \(2, 4\)'):
        load_strict(nn.Linear(4, 2), state, 'file')
    assert all(v.equal(before[k]) for k, v in layer.state_dict().items())


def test_a_module_on_meta_takes_the_tensors():
    layer = nn.Linear(3, 2, device='meta')
    state = {'weight': torch.randn(2, 3), 'bias': torch.ones(2)}
    load_strict(layer, state, 'file')
    assert layer.weight.data_ptr() == state['weight'].data_ptr()
    assert layer.weight.requires_grad
