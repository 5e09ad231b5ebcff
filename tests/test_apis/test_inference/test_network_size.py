"""Files of CogVideoX that a config is not for."""

import json

import pytest
import torch
from safetensors.torch import save_file

from star.apis.inference.build import build_part, load_config
from star.apis.inference.load import Source, load_model
from star.apis.inference.network_size import config_size, refuse_other_size
from star.apis.train.plan import plan_training


@pytest.fixture(scope='module')
def two_billion(tmp_path_factory):
    """Write a file of 2B's names and shapes, which takes no room."""
    network = build_part(load_config('cogvideox_2b'), 'backbone', 'meta')
    entries, end = {}, 0
    for name, tensor in network.state_dict().items():
        begin, end = end, end + 2 * tensor.numel()
        entries[f'backbone.{name}'] = {
            'dtype': 'BF16',
            'shape': list(tensor.shape),
            'data_offsets': [begin, end],
        }
    head = json.dumps(entries).encode()
    path = tmp_path_factory.mktemp('weights') / 'two.safetensors'
    with open(path, 'wb') as file:
        file.write(len(head).to_bytes(8, 'little') + head)
        file.truncate(8 + len(head) + end)  # a hole
    return path


def test_a_file_for_its_own_config(two_billion):
    refuse_other_size(load_config('cogvideox_2b'), two_billion)


@pytest.mark.parametrize(
    ('source', 'training'),
    [('weights', False), ('checkpoint', False), ('weights', True)],
)
def test_a_file_for_another_config(two_billion, source, training):
    config = load_config('cogvideox_5b')
    with pytest.raises(ValueError) as caught:
        load_model(config, Source(**{source: two_billion}, training=training))
    line = str(caught.value)
    assert line.startswith(f'{two_billion} holds CogVideoX-2B (width 1920')
    assert 'cogvideox_5b is for CogVideoX-5B (width 3072' in line
    assert line.endswith('use the config cogvideox_2b')
    assert len(line.splitlines()) == 1


def test_a_plan_with_it(two_billion):
    with pytest.raises(ValueError, match=r'use the config cogvideox_2b$'):
        plan_training(load_config('cogvideox_5b'), str(two_billion))


def test_a_config_without_such_a_network(two_billion):
    with pytest.raises(ValueError, match='i2vgen is for another network'):
        refuse_other_size(load_config('i2vgen'), two_billion)
    with pytest.raises(ValueError, match='config i2vgen has no transformer'):
        config_size('i2vgen')
    with pytest.raises(ValueError, match='config bicubic has no transformer'):
        config_size('bicubic')


def test_other_files_are_left_to_loading(tmp_path):
    config = load_config('cogvideox_5b')
    path = tmp_path / 'other.safetensors'
    save_file({'a': torch.ones(2)}, path)
    for source in (path, None, 'heavy', tmp_path, tmp_path / 'a.pt'):
        refuse_other_size(config, source)
