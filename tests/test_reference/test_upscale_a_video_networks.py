"""Upscale-A-Video's networks on filled weights, by the official code."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from einops import rearrange
from torch import Tensor, nn

from star.models.autoencoders.uav_vae import UAVVAE
from star.models.backbones.upscale_a_video import UAVUNet
from star.models.backbones.upscale_a_video.temporal import (
    UAVRotary,
    UAVTemporalAttention,
    time_buckets,
)
from star.utils.state_dicts import load_strict
from tests.test_reference.vectors import (
    each_vector,
    find_vector,
    find_vectors,
    official_weight,
)

FOLDER = 'upscale_a_video'
COUNTS = {
    'unet_video': (1158, 691_036_436),
    'vae_3d': (204, 55_325_927),
    'vae_video': (296, 113_776_365),
}
_OLD = {
    '.to_q.': '.query.',
    '.to_k.': '.key.',
    '.to_v.': '.value.',
    '.to_out.0.': '.proj_attn.',
}


def read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    file = np.load(path)
    arrays = {
        name: torch.from_numpy(file[name]) for name in file if name != 'meta'
    }
    return json.loads(str(file['meta'])), arrays


def config(name: str) -> dict:
    text = find_vector(f'{FOLDER}/{name}').read_text(encoding='utf-8')
    return json.loads(text)


def fill(network: nn.Module, seed: int) -> float:
    """Fill all but the table of rotations; return the sum of the values."""
    total = 0.0
    for name, parameter in network.named_parameters():
        if not name.endswith('freqs'):
            value = official_weight(name, parameter.shape, seed)
            parameter.data.copy_(value)
            total += value.double().abs().sum().item()
    return total


def tiny_unet() -> UAVUNet:
    sizes = config('tiny_unet_config.json')
    return UAVUNet(
        sizes['block_out_channels'],
        sizes['attention_head_dim'],
        sizes['cross_attention_dim'],
        layers=sizes['layers_per_block'],
        norm_groups=sizes['norm_num_groups'],
    )


def watch(network: nn.Module, names: set[str], frames: int) -> dict:
    """Keep what the named layers give, as clips."""
    seen: dict[str, Tensor] = {}

    def keep(name: str):
        def hook(_module: nn.Module, _inputs: tuple, out: Tensor) -> None:
            if out.ndim == 4:
                out = rearrange(out, '(n t) c h w -> n c t h w', t=frames)
            seen[name] = out.clone()  # layers overwrite it

        return hook

    for name in names:
        network.get_submodule(name).register_forward_hook(keep(name))
    return seen


def check_probes(vector: dict[str, Tensor], seen: dict, least: int) -> None:
    """Compare mean, spread, largest value and 128 values of each layer."""
    assert len(seen) >= least
    for name, out in seen.items():
        expected = vector[f'probe:{name}'].numpy()
        flat = out.double().flatten().numpy()
        places = np.round(np.linspace(0, flat.size - 1, 128)).astype(int)
        found = [flat.mean(), flat.std(), np.abs(flat).max(), *flat[places]]
        limit = 3e-5 * max(1, expected[2])  # the largest value
        np.testing.assert_allclose(
            found, expected, atol=limit, rtol=0, err_msg=name
        )


def layers_of(vector: dict[str, Tensor], *parts: str) -> set[str]:
    """Name the probed layers that are called one by one."""
    names = {key[6:] for key in vector if key.startswith('probe:')}
    return {name for name in names if name.endswith(parts)}


@each_vector(f'{FOLDER}/tiny_unet_s*.npz')
def test_unet(path: Path):
    meta, vector = read(path)
    network = tiny_unet()
    assert fill(network, meta['seed']) == pytest.approx(meta['abs_sum'])
    x = torch.cat([vector['sample'], vector['low_res']], 1)
    parts = 'embedding', 'conv_in', 'resblock_temporal', 'mid_temp_block'
    names = layers_of(vector, *parts, *(f'temp_blocks.{i}' for i in range(4)))
    seen = watch(network, names, x.shape[2])
    with torch.inference_mode():
        found = network(
            x,
            torch.tensor(meta['timestep']),
            vector['context'],
            torch.tensor(meta['class_labels']),
        )
    check_probes(vector, seen, least=13)
    np.testing.assert_allclose(found, vector['out'], atol=2e-5, rtol=0)


def tiny_vae(kind: str, seed: int, total: float, **changes) -> UAVVAE:
    """Build a small autoencoder; fill it through the file's names."""
    sizes = config('tiny_vae_config.json')[kind]
    video, widths = kind == 'vae_video', sizes['block_out_channels']
    groups = sizes['norm_num_groups']
    whole = UAVVAE(video, widths, norm_groups=groups, encoder=True)
    state = {
        name: official_weight(name, tensor.shape, seed)
        for name, tensor in old_names(whole).items()
    }
    summed = sum(x.double().abs().sum().item() for x in state.values())
    assert summed == pytest.approx(total)
    network = UAVVAE(video, widths, norm_groups=groups, **changes)
    load_strict(network, network.take_names(state, 'file'), 'file')
    return network


def old_names(network: UAVVAE) -> dict[str, Tensor]:
    """Name the tensors as the files do, which have old names of attention."""
    found = {}
    for name, tensor in network.state_dict().items():
        for new, old in _OLD.items():
            if '.attentions.' in name:
                name = name.replace(new, old)
        found[name] = tensor
    return found


@each_vector(f'{FOLDER}/tiny_vae_*.npz')
def test_vae(path: Path):
    meta, vector = read(path)
    kind = path.stem.removeprefix('tiny_').rpartition('_')[0]
    network = tiny_vae(
        kind,
        meta['seed'],
        meta['abs_sum'],
        strength=meta['w_lr'],
        encoder=True,
    )
    names = {'post_quant_conv', 'decoder.conv_in'}
    names |= layers_of(vector, 'condition_fuse')
    with torch.inference_mode():
        mean, logvar = network.encode(vector['enc_in'])
        seen = watch(network, names, vector['z'].shape[2])
        found = network.decode(vector['z'], vector['img'])
    check_probes(vector, seen, least=len(names))
    for result, name in (
        (found, 'out'),
        (mean, 'enc_mean'),
        (logvar, 'enc_logvar'),
    ):
        np.testing.assert_allclose(result, vector[name], atol=3e-5, rtol=0)


@each_vector(f'{FOLDER}/temporal_attention*.npz')
def test_temporal_attention(path: Path):
    meta, vector = read(path)
    rotary = UAVRotary()
    np.testing.assert_allclose(
        rotary.freqs, vector['rope_freqs'], atol=1e-7, rtol=0
    )
    np.testing.assert_allclose(
        rotary(vector['rope_in']), vector['rope_out'], atol=2e-6, rtol=0
    )
    for name in vector:
        if name.startswith('bucket_'):
            found = time_buckets(int(name.removeprefix('bucket_')))
            assert torch.equal(found, vector[name])
    width = vector['ta_in'].shape[-1]
    layer = UAVTemporalAttention(width, 2, rotary)
    assert [name for name, _ in layer.named_parameters()] == meta['names']
    fill(layer, meta['seed'])
    tokens = rearrange(vector['ta_in'], 'l t c -> 1 t l c')
    with torch.inference_mode():
        found = rearrange(layer(tokens), '1 t l c -> l t c')
    np.testing.assert_allclose(found, vector['ta_out'], atol=2e-6, rtol=0)


@pytest.mark.parametrize('kind', COUNTS)
def test_inventory(kind: str):
    """Names and shapes of the published size are those of the files."""
    with torch.device('meta'):
        if kind == 'unet_video':
            network = UAVUNet()
            state = network.state_dict()
        else:
            network = UAVVAE(kind == 'vae_video', encoder=True)
            state = old_names(network)
    count = sum(p.numel() for p in network.parameters())
    assert (len(state), count) == COUNTS[kind]
    found = {
        name: 'x'.join(map(str, tensor.shape))
        for name, tensor in state.items()
    }
    name = f'{FOLDER}/manifest_{kind}.tsv'
    text = find_vector(name).read_text(encoding='utf-8')
    rows = [line.split('\t') for line in text.splitlines()]
    assert found == {row[0]: row[1] for row in rows}


def test_names_of_diffusers():
    """All tensors of diffusers' x4 upscaler keep their names."""
    from diffusers import UNet2DConditionModel

    with torch.device('meta'):
        theirs = UNet2DConditionModel(
            in_channels=7,
            block_out_channels=(256, 512, 512, 1024),
            down_block_types=('DownBlock2D', *['CrossAttnDownBlock2D'] * 3),
            up_block_types=(*['CrossAttnUpBlock2D'] * 3, 'UpBlock2D'),
            only_cross_attention=(True, True, True, False),
            cross_attention_dim=1024,
            num_class_embeds=1000,
            use_linear_projection=True,
        )
        ours = UAVUNet().state_dict()
    shapes = {k: v.shape for k, v in theirs.state_dict().items()}
    assert len(shapes) == 687
    assert {name: ours[name].shape for name in shapes} == shapes
    text = find_vector(f'{FOLDER}/mapping_base_temporal.tsv').read_text()
    rows = [line.split('\t') for line in text.splitlines()]
    assert {name for name, kind in rows if kind == 'base'} == set(shapes)


def test_vectors_found():
    assert find_vectors(f'{FOLDER}/tiny_vae_*.npz')
    assert find_vectors(f'{FOLDER}/temporal_attention*.npz')
