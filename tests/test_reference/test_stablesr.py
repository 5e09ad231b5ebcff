"""StableSR's networks against numbers of its authors' code.

All vectors of a kind are found: another file of the same form is another
test. Weights come from the official names, ours from these by the rules that
load the published files.
"""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from star.models.autoencoders.cfw_vae import (
    SCALING,
    CFWAutoencoder,
    FusionBlock,
    kl_state,
    rename_fusion,
)
from star.models.autoencoders.ldm_names import rename_ldm
from star.models.backbones.stable_diffusion.names import (
    middle_names,
    rename_block,
    rename_unet,
    structure_state,
    unet_state,
)
from star.models.backbones.stable_diffusion.spade_unet import (
    SpadeUNet,
    embed_time,
)
from star.models.backbones.stable_diffusion.structure_encoder import (
    StructureEncoder,
)
from star.models.layers.residual_block import ResidualBlock
from star.models.layers.rrdb import RRDB
from star.utils.state_dicts import find_misfits, load_strict
from tests.test_reference.vectors import (
    each_vector,
    find_vector,
    official_weight,
    read_manifest,
)

NETWORKS = {'rtol': 1e-5, 'atol': 2e-5}
ENCODER = {'rtol': 1e-5, 'atol': 1e-5}
DECODER = {'rtol': 1e-5, 'atol': 5e-5}
FULL = {
    'unet': ('manifest_unet_dualcond', 918_930_884, 862),
    'structcond': ('manifest_structcond', 52_494_080, 200),
    'vae': ('manifest_cfw_vae', 128_047_591, 404),
}


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@lru_cache
def config(name: str) -> dict:
    path = find_vector('stablesr/configs.json')
    return json.loads(path.read_text(encoding='utf-8'))[name]


def attention_levels(sizes: dict) -> list[int]:
    factors = sizes['attention_resolutions']
    levels = range(len(sizes['channel_mult']))
    return [level for level in levels if 2**level in factors]


def build(kind: str, size: str) -> nn.Module:
    """Build a network of `configs.json`."""
    sizes = config(f'{kind}_{size}')
    if kind == 'vae':
        return CFWAutoencoder(
            [sizes['ch'] * m for m in sizes['ch_mult']],
            sizes['num_res_blocks'],
            config('cfw')['num_grow_ch'],
        )
    channels = [sizes['model_channels'] * m for m in sizes['channel_mult']]
    common = (channels, sizes['num_res_blocks'], attention_levels(sizes))
    if kind == 'structcond':
        heads, outputs = sizes['num_heads'], sizes['out_channels']
        return StructureEncoder(*common, heads, outputs)
    return SpadeUNet(
        *common,
        sizes['num_head_channels'],
        sizes['context_dim'],
        sizes['semb_channels'],
    )


def rename(network: nn.Module, state: dict) -> dict:
    if isinstance(network, SpadeUNet):
        return unet_state(network, state)
    if isinstance(network, StructureEncoder):
        return structure_state(state)
    return kl_state(network, state)


def official_state(manifest: str, seed: int, prefix: str = '') -> dict:
    """Fill all tensors of a manifest; `prefix` counts for their numbers."""
    return {
        row['name']: official_weight(
            prefix + row['name'], shape_of(row['shape']), seed
        )
        for row in read_manifest(f'stablesr/{manifest}.tsv')
    }


def shape_of(text: str) -> torch.Size:
    return torch.Size(map(int, text.split('x')))


def fill(kind: str, manifest: str, seed: int, prefix: str = '') -> nn.Module:
    network = build(kind, 'tiny').eval()
    state = official_state(manifest, seed, prefix)
    load_strict(network, rename(network, state), manifest)
    return network


def read(path: Path) -> dict:
    """Read a file's arrays as tensors, single numbers as numbers."""
    return {
        name: torch.from_numpy(array) if array.ndim else array.item()
        for name, array in np.load(path).items()
    }


@each_vector('stablesr/resblock_dual_*.npz')
def test_modulated_block(path: Path):
    data = read(path)
    block = ResidualBlock(
        data['x'].shape[1],
        data['out'].shape[1],
        data['emb'].shape[1],
        data['struct'].shape[1],
    )
    shapes = {name: p.shape for name, p in block.named_parameters()}
    rows = read_manifest('stablesr/manifest_resblock_dual_tiny.tsv')
    names = {rename_block(row['name']): row['name'] for row in rows}
    state = {
        own: official_weight(names[own], shape, data['seed'])
        for own, shape in shapes.items()
    }
    load_strict(block, state, path)
    found = block(data['x'], data['emb'], data['struct'])
    torch.testing.assert_close(found, data['out'], **NETWORKS)
    assert block.spade is not None
    spade = block.spade(data['spade_in'], data['struct'])
    torch.testing.assert_close(spade, data['spade_out'], **NETWORKS)


@each_vector('stablesr/structcond_tiny_*.npz')
def test_structure_encoder(path: Path):
    data = read(path)
    network = fill('structcond', 'manifest_structcond_tiny', data['seed'])
    check_structure(network(data['x'], data['t']), data, 'out_w')


def check_structure(found: dict[int, Tensor], data: dict, start: str) -> None:
    expected = {
        int(name.removeprefix(start)): tensor
        for name, tensor in data.items()
        if name.startswith(start)
    }
    assert found.keys() == expected.keys()
    for width, feature in found.items():
        torch.testing.assert_close(feature, expected[width], **NETWORKS)


@each_vector('stablesr/unet_tiny_*.npz')
def test_unet(path: Path):
    data = read(path)
    structure = fill(
        'structcond', 'manifest_structcond_tiny', data['seed'], 'structcond.'
    )(data['lq'], data['t'])
    check_structure(structure, data, 'struct_w')
    network = fill('unet', 'manifest_unet_tiny', data['seed'])
    found = network(data['x'], data['t'], data['context'], structure)
    torch.testing.assert_close(found, data['out'], **NETWORKS)


@each_vector('stablesr/cfw_tiny_*.npz')
def test_autoencoder(path: Path):
    data = read(path)
    network = fill('vae', 'manifest_cfw_tiny', data['seed'])
    mean, logvar = data['moments'].chunk(2, 1)
    posterior = network.encode(data['x'])
    torch.testing.assert_close(posterior.mean, mean, **ENCODER)
    clamped = logvar.clamp(-30, 20)
    torch.testing.assert_close(posterior.logvar, clamped, **ENCODER)
    drawn = posterior.sample(data['sample_noise']) / SCALING
    torch.testing.assert_close(drawn, data['z_sample'], **ENCODER)
    features = data['enc_fea0'], data['enc_fea1']
    for found in (posterior.features, network.features(data['x'])):
        torch.testing.assert_close(found, features, **ENCODER)
    for name, expected in data.items():
        if name.startswith('dec_w'):
            weight = float(name.removeprefix('dec_w'))
            out = network.decode(SCALING * data['z'], features, weight)
            torch.testing.assert_close(out, expected, **DECODER)


@each_vector('stablesr/fuse_block*.npz')
def test_fusion(path: Path):
    data = read(path)
    dim, growth = data['enc'].shape[1], config('cfw')['num_grow_ch']
    middle = nn.Sequential(*(RRDB(dim, growth) for _ in range(2)))
    block = FusionBlock(dim, middle)
    official = official_state('manifest_fuse_block_tiny', data['seed'])
    place = 'decoder.fusion_layer_1.'
    state = {
        rename_fusion(place + name).removeprefix('fusions.1.'): tensor
        for name, tensor in official.items()
    }
    load_strict(block, state, path)
    added = block(data['enc'], data['dec'])
    for name, weight in (('out_w1', 1), ('out_w05', 0.5)):
        found = data['dec'] + weight * added
        torch.testing.assert_close(found, data[name], **DECODER)


@pytest.mark.parametrize('kind', FULL)
def test_full_networks_have_the_published_tensors(kind: str):
    manifest, count, names = FULL[kind]
    rows = read_manifest(f'stablesr/{manifest}.tsv')
    with torch.device('meta'):
        network = build(kind, 'full')
        state = {r['name']: torch.empty(shape_of(r['shape'])) for r in rows}
    assert len(rows) == names
    assert sum(p.numel() for p in network.parameters()) == count
    own = rename(network, state)
    assert len(own) == names  # no two names became one
    assert find_misfits(network.state_dict(), own) == ''


def test_default_sizes_are_the_published_ones():
    with torch.device('meta'):
        networks = SpadeUNet(), StructureEncoder(), CFWAutoencoder()
    counts = [sum(p.numel() for p in n.parameters()) for n in networks]
    assert counts == [count for _, count, _ in FULL.values()]


def test_names_of_the_unet_are_those_of_diffusers():
    rows = read_manifest('stablesr/map_unet_ldm_to_diffusers.tsv')
    with torch.device('meta'):
        network = build('unet', 'full')
    middle = middle_names(network)
    for name, expected in (list(row.values())[:2] for row in rows):
        found = rename_unet(name, 2, middle)
        assert found == expected or ('.spade.' in found and expected == '-')


def test_names_of_the_autoencoder_are_those_of_diffusers():
    rows = read_manifest('stablesr/map_vae_ldm_to_diffusers.tsv')
    for name, expected in (list(row.values())[:2] for row in rows):
        if expected != '-':
            assert rename_ldm(name, 4) == expected


@each_vector('stablesr/timestep_embedding*.npz')
def test_timestep_embedding(path: Path):
    data = read(path)
    for name, expected in data.items():
        if name.startswith('emb'):
            found = embed_time(data['t'], int(name.removeprefix('emb')))
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
