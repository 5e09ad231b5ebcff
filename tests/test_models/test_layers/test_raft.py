"""RAFT for methods: names of the original's file, sizes, both directions."""

import pytest
import torch
from torch.nn import functional as F

from star.models.layers.raft import (
    RAFTFlow,
    name_raft_tensors,
    plan_borders,
)
from star.utils.state_dicts import load_strict
from tests.paths import VECTORS

needs_manifest = pytest.mark.skipif(
    VECTORS is None
    or not (VECTORS / 'mgld_vsr' / 'manifest_raft.tsv').is_file(),
    reason='no manifest of RAFT (set STAR_VECTORS)',
)


@pytest.fixture(scope='module')
def network() -> RAFTFlow:
    torch.manual_seed(0)
    return RAFTFlow()


def manifest() -> dict[str, torch.Tensor]:
    """Make empty tensors of the names and shapes of `raft-things.pth`."""
    text = (VECTORS / 'mgld_vsr' / 'manifest_raft.tsv').read_text()
    rows = [line.split('\t') for line in text.splitlines()]
    shapes = {
        name: [] if shape == 'scalar' else [int(x) for x in shape.split('x')]
        for name, shape, _ in rows
    }
    return {name: torch.empty(shape) for name, shape in shapes.items()}


@needs_manifest
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_takes_the_original_file(network: RAFTFlow, prefix: str):
    state = {f'{prefix}{name}': x for name, x in manifest().items()}
    found = name_raft_tensors(state)
    load_strict(RAFTFlow().to('meta'), found, 'raft-things.pth')
    assert name_raft_tensors(found).keys() == found.keys()
    count = sum(p.numel() for p in network.parameters())
    assert count == 5_257_536


@needs_manifest
def test_names_what_a_file_lacks(network: RAFTFlow):
    state = manifest()
    del state['update_block.gru.convz1.bias']
    with pytest.raises(ValueError, match=r'1 missing .*convgru1\.convz\.bias'):
        load_strict(network, name_raft_tensors(state), 'file')


def test_equals_torchvision(network: RAFTFlow):
    first, second = torch.rand(2, 1, 3, 128, 136) * 2 - 1
    with torch.no_grad():
        expected = network.raft(first, second, num_flow_updates=2)[-1]
    found = network(first, second, 2)
    assert expected.abs().max() > 0.1
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_pads_small_and_odd_sizes(network: RAFTFlow):
    first, second = torch.rand(2, 1, 3, 37, 129) * 2 - 1
    flow = network(first, second, 1)
    assert flow.shape == (1, 2, 37, 129)
    assert plan_borders(37, 129) == (3, 4, 45, 46)
    assert plan_borders(128, 136) == (0, 0, 0, 0)
    padded = [F.pad(x, (3, 4, 45, 46), 'replicate') for x in (first, second)]
    whole = network(*padded, 1)
    assert torch.equal(flow, whole[..., 45:82, 3:132])


def test_both_ways(network: RAFTFlow):
    clip = torch.rand(3, 3, 30, 40) * 2 - 1
    there, back = network.both_ways(clip, 1)
    assert there.shape == back.shape == (2, 2, 30, 40)
    assert (there[1] - network(clip[1:2], clip[2:], 1)[0]).abs().max() < 1e-4
    assert (back[0] - network(clip[1:2], clip[:1], 1)[0]).abs().max() < 1e-4
    alone = network.both_ways(clip[:1])
    assert [len(flows) for flows in alone] == [0, 0]


def test_stays_in_evaluation_mode(network: RAFTFlow):
    assert not any(module.training for module in network.train().modules())
    assert not any(p.requires_grad for p in network.parameters())


def test_random_weights_follow_the_seed():
    torch.manual_seed(3)
    one = RAFTFlow().state_dict()
    torch.manual_seed(3)
    other = RAFTFlow().state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
