"""FasterVQA: parameters, and what is accepted as its file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from star.evaluation.networks.faster_vqa import (
    FasterVQANetwork,
    load_faster_vqa,
)


@pytest.fixture(scope='module')
def state() -> dict[str, Tensor]:
    """A state dict whose file is small: each tensor is one number."""
    with torch.device('meta'):
        own = FasterVQANetwork().state_dict()
    return {
        name: torch.tensor(i, dtype=tensor.dtype).expand(tensor.shape)
        for i, (name, tensor) in enumerate(own.items())
    }


def test_parameters(state: dict[str, Tensor]):
    with torch.device('meta'):
        network = FasterVQANetwork()
    count = sum(p.numel() for p in network.parameters())
    assert count == 28_078_620 + 768 * 64 + 64 + 64 + 1
    # names of the published file
    names = {name.rpartition('.blocks')[0] for name in state}
    assert 'fragments_backbone.layers.3' in names
    assert state['vqa_head.fc_last.weight'].shape == (1, 64, 1, 1, 1)


def test_loads(tmp_path: Path, state: dict[str, Tensor]):
    """The official trainer saves numpy's numbers beside the weights."""
    path = tmp_path / 'FAST_VQA_3D_1_1.pth'
    results = (np.float64(0.87), -1, 1000)
    torch.save({'state_dict': state, 'validation_results': results}, path)
    network = load_faster_vqa(path)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())


def test_refuses_what_does_not_fit(tmp_path: Path, state: dict[str, Tensor]):
    path = tmp_path / 'FAST_VQA_3D_1_1.pth'
    torch.save({f'resize_{k}': v for k, v in state.items()}, path)
    with pytest.raises(ValueError, match='does not fit FasterVQANetwork'):
        load_faster_vqa(path)


def test_answers_at_each_place():
    """With a head that counts, the answer is known without features."""
    with torch.random.fork_rng():
        network = FasterVQANetwork().eval().requires_grad_(False)
    head = network.vqa_head
    head.fc_hid.weight.zero_()
    head.fc_hid.bias.fill_(1.0)
    head.fc_last.weight.fill_(1 / 64)
    head.fc_last.bias.fill_(0.25)
    gelu = 0.8413447460685429  # the normal distribution's share below 1
    found = network(torch.zeros(1, 3, 4, 64, 96))
    assert found.shape == (1, 1, 2, 2, 3)
    assert found.flatten().tolist() == pytest.approx([gelu + 0.25] * 12)
