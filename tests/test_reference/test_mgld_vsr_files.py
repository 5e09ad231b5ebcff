"""The tensors of MGLD-VSR's published files, by name and shape."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from star.models.autoencoders.cfw_vae import KLEncoder, kl_state
from star.models.autoencoders.video_cfw_vae import VideoCFWAutoencoder
from star.models.backbones.mgld_vsr.spade_video_unet import SpadeVideoUNet
from star.models.backbones.stable_diffusion.names import (
    structure_state,
    unet_state,
)
from star.models.backbones.stable_diffusion.structure_encoder import (
    StructureEncoder,
)
from star.models.layers.raft import RAFTFlow, name_raft_tensors
from tests.test_reference.vectors import each_vector, read_shapes

FOLDER = 'mgld_vsr'
# full sizes: parameters, manifest, network, how the official names are ours
NETWORKS: list[tuple[int, str, Callable, Callable]] = [
    (935_321_287, 'unet', SpadeVideoUNet, unet_state),
    (
        52_494_080,
        'structcond',
        StructureEncoder,
        lambda _, state: structure_state(state),
    ),
    (114_973_812, 'video_vae', VideoCFWAutoencoder, kl_state),
]


@pytest.mark.parametrize(
    ('count', 'name', 'kind', 'rename'), NETWORKS, ids=[n[1] for n in NETWORKS]
)
def test_published_sizes(count: int, name: str, kind: type, rename: Callable):
    """Names and shapes at full size are those of the official files."""
    names = read_shapes(f'{FOLDER}/manifest_{name}.tsv')
    with torch.device('meta'):
        network = kind()
        state = {k: torch.empty(shape) for k, shape in names.items()}
    assert sum(x.numel() for x in state.values()) == count
    own = network.state_dict()
    renamed = rename(network, state)
    assert {k: v.shape for k, v in renamed.items()} == {
        k: v.shape for k, v in own.items()
    }
    assert len(renamed) == len(names)


def test_published_image_encoder_and_flow():
    with torch.device('meta'):
        encoder, flow = KLEncoder(), RAFTFlow()
        states = [
            {
                k: torch.empty(s)
                for k, s in read_shapes(f'{FOLDER}/manifest_{n}.tsv').items()
            }
            for n in ('first_stage', 'raft')
        ]
    assert sum(x.numel() for x in states[0].values()) == 83_653_863
    renamed = kl_state(encoder, states[0])
    own = encoder.state_dict()
    assert {k: renamed[k].shape for k in own} == {
        k: v.shape for k, v in own.items()
    }
    left = {name.partition('.')[0] for name in renamed.keys() - own.keys()}
    assert left == {'decoder', 'post_quant_conv'}
    renamed = name_raft_tensors(states[1])
    assert {k: v.shape for k, v in renamed.items()} == {
        k: v.shape for k, v in flow.state_dict().items()
    }


@each_vector(f'{FOLDER}/mapping_*.tsv')
def test_new_layers(path: Path):
    """What StableSR does not have are the layers that mix frames."""
    rows = [line.split('\t') for line in path.read_text().splitlines()]
    for name, kind, theirs in rows:
        mixes = 'temporal' in name or '.middle_block.3.' in f'.{name}'
        new = mixes and 'structcond' not in path.stem
        assert (kind == 'temporal') == (new and theirs == '-'), name
