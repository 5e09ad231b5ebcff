"""Names of CogVideoX's transformers by their size."""

import pytest
import torch

from star.apis.inference.build import build_part, load_config
from star.models.backbones.cogvideox.published import (
    NetworkSize,
    check_size,
    find_size,
)
from tests.test_models.cogvideox_files import base_network, official_state

TWO, FIVE = NetworkSize(1920, 30), NetworkSize(3072, 42)


@pytest.mark.parametrize('name', ['cogvideox_2b', 'cogvideox_5b'])
def test_sizes_of_the_configs(name):
    network = build_part(load_config(name), 'backbone', 'meta')
    size = find_size(network.state_dict())
    assert size == {'cogvideox_2b': TWO, 'cogvideox_5b': FIVE}[name]
    assert size.config == name
    assert size.positions == network.positions


def test_sizes_by_every_kind_of_names():
    small = NetworkSize(32, 2)
    official = official_state()
    base = base_network().state_dict()
    ours = {f'backbone.transformer.{name}': t for name, t in base.items()}
    assert find_size(official) == find_size(base) == find_size(ours) == small
    assert (small.name, small.config, small.positions) == ('', '', '')
    assert str(small) == 'no published model (width 32, 2 layers)'
    assert str(TWO) == 'CogVideoX-2B (width 1920, 30 layers)'


def test_other_networks_have_no_size():
    other = 'input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight'
    assert find_size({other: torch.ones(2, 2)}) is None
    assert find_size({}) is None


def test_another_size_is_refused():
    check_size(TWO, TWO, 'a.safetensors', 'cogvideox_2b')
    with pytest.raises(ValueError) as caught:
        check_size(TWO, FIVE, 'a.safetensors', 'cogvideox_5b')
    assert str(caught.value) == (
        'a.safetensors holds CogVideoX-2B (width 1920, 30 layers), but the '
        'config cogvideox_5b is for CogVideoX-5B (width 3072, 42 layers): use '
        'the config cogvideox_2b'
    )
    with pytest.raises(ValueError, match='another network: use a config of'):
        check_size(NetworkSize(32, 2), None, 'a', 'i2vgen')
