import math

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from star.utils.randomness import RandomTracker
from star.utils.tensor_files import read_state


class Part(nn.Module):
    """Tensors of every kind of origin."""

    def __init__(self):
        super().__init__()
        self.drawn = nn.Parameter(torch.randn(3) * 0.02 + 1)
        self.uniform = nn.Parameter(torch.empty(3).uniform_(-1, 1))
        self.reserved = nn.Parameter(torch.empty(3))
        self.ones = nn.Parameter(torch.ones(3))
        self.table = nn.Parameter(torch.arange(3).cos() * math.pi)
        self.register_buffer('shape_only', torch.zeros_like(torch.randn(3)))
        self.register_buffer('mixed', torch.zeros(3) + torch.rand(3))
        self.register_buffer('filled', torch.randn(3).fill_(2))
        self.register_buffer('halved', torch.randn(3).half(), persistent=False)
        partly = torch.randn(3)
        partly[:2] = 0
        self.register_buffer('partly', partly)


RANDOM = {'drawn', 'uniform', 'reserved', 'mixed', 'halved', 'partly'}


@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_follows_random_numbers(device):
    with RandomTracker() as tracker, torch.device(device):
        assert tracker.find_random(Part()) == RANDOM


@pytest.mark.parametrize(
    'kind, drawn',
    [
        (lambda: nn.Linear(2, 2), {'weight', 'bias'}),
        (lambda: nn.LayerNorm(2), set()),
        (lambda: nn.Conv2d(2, 2, 3, bias=False), {'weight'}),
        (lambda: nn.Embedding(4, 2, padding_idx=0), {'weight'}),
        (lambda: nn.BatchNorm2d(2), set()),
        (lambda: nn.utils.skip_init(nn.Linear, 2, 2), {'weight', 'bias'}),
    ],
)
def test_layers_of_torch(kind, drawn):
    with RandomTracker() as tracker:
        assert tracker.find_random(kind()) == drawn


@pytest.mark.parametrize('suffix', ['safetensors', 'pt'])
@pytest.mark.parametrize('assign', [True, False])
def test_what_is_loaded_is_not_random(tmp_path, suffix, assign):
    path = tmp_path / f'a.{suffix}'
    state = nn.Linear(3, 2).state_dict()
    save_file(state, path) if suffix != 'pt' else torch.save(state, path)
    with RandomTracker() as tracker:
        layer = nn.Linear(3, 2, device='meta' if assign else 'cpu')
        assert tracker.find_random(layer) == {'weight', 'bias'}
        layer.load_state_dict(read_state(path), assign=assign)
        assert tracker.find_random(layer) == set()
        layer.to(torch.float16)
        assert tracker.find_random(layer) == set()
        nn.init.normal_(layer.bias)
        assert tracker.find_random(layer) == {'bias'}


def test_a_part_that_loads_half_of_its_file(tmp_path):
    with RandomTracker() as tracker:
        model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
        known = {'0.weight': torch.ones(2, 3), '0.bias': torch.ones(2)}
        model.load_state_dict(known, strict=False)
        assert tracker.find_random(model) == {'1.weight', '1.bias'}


def test_the_numbers_are_those_without_it():
    torch.manual_seed(0)
    expected = Part().state_dict()
    torch.manual_seed(0)
    with RandomTracker():
        found = Part().state_dict()
    for name in expected.keys() - {'reserved'}:
        assert torch.equal(expected[name], found[name]), name


def test_memory_that_is_used_again():
    """What a freed random tensor leaves behind marks no other tensor."""
    with RandomTracker() as tracker:
        for _ in range(200):
            torch.randn(1000)
            assert not tracker.is_random(torch.zeros(1000))
