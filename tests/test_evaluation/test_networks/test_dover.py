"""DOVER: parameters, and what is accepted as its file."""

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from star.evaluation.networks.dover import DOVERNetwork, load_dover


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.fixture(scope='module')
def state() -> dict[str, Tensor]:
    """A state dict whose file is small: each tensor is one number."""
    with torch.device('meta'):
        shapes = {k: v.shape for k, v in DOVERNetwork().state_dict().items()}
    return {
        name: torch.tensor(i).expand(shape)
        if name.endswith('index')
        else torch.tensor(i / 1000).expand(shape)
        for i, (name, shape) in enumerate(shapes.items())
    }


def test_parameters():
    with torch.device('meta'):
        network = DOVERNetwork()
    assert count(network) == 56_218_302
    assert count(network.technical_backbone) == 28_078_620
    assert count(network.aesthetic_backbone) == 28_041_120
    assert count(network.technical_head) == 768 * 64 + 64 + 64 + 1


@pytest.mark.parametrize('wrapped', [False, True])
def test_loads(tmp_path: Path, state: dict[str, Tensor], wrapped: bool):
    path = tmp_path / 'DOVER.pth'
    torch.save({'state_dict': state, 'epoch': 3} if wrapped else state, path)
    network = load_dover(path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_refuses_what_does_not_fit(tmp_path: Path, state: dict[str, Tensor]):
    path = tmp_path / 'DOVER.pth'
    name = 'aesthetic_head.fc_last.bias'
    torch.save({k: v for k, v in state.items() if k != name}, path)
    with pytest.raises(
        ValueError, match=rf'does not fit DOVERNetwork: .*{name}'
    ):
        load_dover(path)


def test_refuses_the_mobile_network(tmp_path: Path):
    path = tmp_path / 'DOVER-Mobile.pth'
    name = 'technical_backbone.stages.0.0.grn.gamma'
    torch.save({name: torch.zeros(1, 1, 1, 192)}, path)
    message = f'{path} is DOVER-Mobile, which is another network'
    with pytest.raises(ValueError, match=re.escape(message)):
        load_dover(path)


def test_branches_answer_at_each_place():
    """With heads that count, the answer is known without their features."""
    with torch.random.fork_rng():
        network = DOVERNetwork().eval().requires_grad_(False)
    for head, bias in (
        (network.technical_head, 0.25),
        (network.aesthetic_head, -0.5),
    ):
        head.fc_hid.weight.zero_()
        head.fc_hid.bias.fill_(1.0)
        head.fc_last.weight.fill_(1 / 64)
        head.fc_last.bias.fill_(bias)
    gelu = 0.8413447460685429  # the normal distribution's share below 1
    clip = torch.zeros(1, 3, 4, 64, 96)
    technical, aesthetic = network(clip, clip)
    for found, bias in ((technical, 0.25), (aesthetic, -0.5)):
        assert found.shape == (1, 1, 2, 2, 3)
        assert found.flatten().tolist() == pytest.approx([gelu + bias] * 12)
