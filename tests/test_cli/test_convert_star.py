"""`star convert star` on weights of small networks."""

import pytest
import torch
from safetensors.torch import load_file

from star.models.backbones.i2vgen.checkpoints import (
    network_state,
    to_official,
)
from tests.test_models.networks import small_backbone, small_controlnet


@pytest.fixture
def state(monkeypatch):
    """Our tensors of small networks, of which the command takes the sizes."""
    state = network_state(small_backbone(), small_controlnet())
    monkeypatch.setattr('star.cli.convert.star.expected_state', lambda: state)
    return state


@pytest.fixture
def official(state):
    return to_official(state)


def check_equal(path, state):
    found = load_file(path)
    assert found.keys() == state.keys()
    assert all(found[name].equal(state[name]) for name in state)


def test_writes_and_overwrites_if_told(star, tmp_path, official, state):
    source, target = tmp_path / 'a.pt', tmp_path / 'b.safetensors'
    torch.save({'state_dict': official}, source)
    assert star('convert', 'star', source, target).code == 0
    check_equal(target, state)
    target.write_bytes(b'old')
    assert 'exists' in star('convert', 'star', source, target).error
    assert target.read_bytes() == b'old'
    assert star('convert', 'star', source, target, '--overwrite').code == 0
    check_equal(target, state)
    assert len(list(tmp_path.iterdir())) == 2


def test_refuses_wrong_contents(star, tmp_path, official):
    source, target = tmp_path / 'a.pt', tmp_path / 'b.safetensors'
    official['other'] = official.pop('out.2.weight')
    torch.save(official, source)
    error = star('convert', 'star', source, target).error
    assert '1 missing (out.2.weight), 1 unknown (other)' in error
    options = ['--sha256', '0' * 64]
    error = star('convert', 'star', source, target, *options).error
    assert 'SHA-256' in error
    source.write_bytes(b'noise')
    assert str(source) in star('convert', 'star', source, target).error
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize('target', ['a.pt', 'absent/a.safetensors'])
def test_refuses_targets(star, tmp_path, target):
    source = tmp_path / 's.pt'
    source.write_bytes(b'')
    assert star('convert', 'star', source, tmp_path / target).error
