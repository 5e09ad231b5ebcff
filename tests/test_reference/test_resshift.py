"""ResShift against numbers of the official code."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.diffusion.residual_shift import (
    input_scale,
    posterior,
    sample_residual_shift,
    shift_levels,
)
from star.models.autoencoders.ldm_names import rename_ldm
from star.models.editors.resshift.chopping import plan_chops
from star.models.editors.resshift.swin import (
    ShiftedLayer,
    SwinSizes,
    column_mask,
    relative_index,
)
from star.models.editors.resshift.unet import (
    ResShiftBlock,
    ResShiftUNet,
    embed_steps,
)
from star.models.editors.resshift.vq import VQAutoencoder, find_nearest
from star.models.layers.chunked_attention import ChunkedAttention
from star.models.restoration.options import RestoreOptions
from star.video.padding import pad_reflect
from star.video.tiling import plan_tiles, reweigh_tiles, stitch_tiles
from tests.test_reference.vectors import (
    each_vector,
    find_vector,
    find_vectors,
    official_weight,
    read_manifest,
)

FIXED = {  # of all networks that the authors published
    'in_channels': 3,
    'out_channels': 3,
    'dropout': 0,
    'conv_resample': True,
    'dims': 2,
    'use_scale_shift_norm': True,
    'resblock_updown': False,
    'cond_lq': True,
}


@lru_cache
def configs() -> dict[str, Any]:
    text = find_vector('resshift/configs.json').read_text(encoding='utf-8')
    return json.loads(text)


def build_unet(name: str) -> ResShiftUNet:
    official = configs()[name]
    assert FIXED.items() <= official.items()
    same = (
        'image_size',
        'model_channels',
        'channel_mult',
        'num_res_blocks',
        'attention_resolutions',
        'lq_size',
    )
    swin = {
        'width': official['swin_embed_dim'],
        'heads': official['swin_embed_dim'] // official['num_head_channels'],
        'depth': official['swin_depth'],
        'window': official['window_size'],
        'mlp_ratio': official['mlp_ratio'],
    }
    return ResShiftUNet(**{key: official[key] for key in same}, swin=swin)


def build_vq(name: str) -> VQAutoencoder:
    official = configs()[name]
    sizes = official['ddconfig']
    return VQAutoencoder(
        [sizes['ch'] * factor for factor in sizes['ch_mult']],
        sizes['num_res_blocks'],
        sizes['z_channels'],
        official['n_embed'],
    )


@torch.no_grad()
def fill(network: nn.Module, seed: int) -> None:
    for name, parameter in network.named_parameters():
        parameter.copy_(official_weight(name, parameter.shape, seed))


def fill_vq(vq: VQAutoencoder, seed: int) -> None:
    """Load a file with official names."""
    own = vq.state_dict()
    state = {}
    for row in read_manifest('resshift/map_vq_ldm_to_diffusers.tsv'):
        name = row['resshift_vq_name']
        shape = own[f'vq.{row["diffusers_VQModel_name"]}'].shape
        if row['ldm_shape'].endswith('x1x1') and len(shape) == 2:
            shape = (*shape, 1, 1)
        state[name] = official_weight(name, torch.Size(shape), seed)
    vq.load_state_dict(vq.read(state))


def tensor(vector: Any, name: str) -> Tensor:
    return torch.from_numpy(vector[name])


def close(found: Any, expected: np.ndarray, atol: float) -> None:
    np.testing.assert_allclose(found, expected, atol=atol, rtol=1e-5)


@each_vector('resshift/unet_*.npz')
@torch.no_grad()
def test_unet(path: Path):
    vector = np.load(path)
    unet = build_unet(str(vector['config'])).eval()
    fill(unet, int(vector['seed']))
    found = {}
    for key in vector.files:
        if key.startswith('mid:'):
            name = key[4:].replace('time_emb', 'time_embed')
            unet.get_submodule(name).register_forward_hook(
                lambda _, __, out, key=key: found.update({key: out})
            )
    x, lq, t = (tensor(vector, name) for name in ('x', 'lq', 't'))
    found['out'] = unet(x, lq, t)
    for key, out in found.items():
        close(out, vector[key], 2e-5)


def layer(vector: Any) -> ShiftedLayer:
    """The layer of which `window` and `shift` are recorded."""
    (window, _), shifts = vector['window'], vector['shift']
    side = 4 * window if shifts.any() else window
    sizes = SwinSizes(64, 4, len(shifts), window)
    made = ShiftedLayer(vector['x'].shape[1], sizes, int(side))
    assert [block.shift for block in made.blocks] == [*shifts]
    return made


@each_vector('resshift/swin_layer_*.npz')
@torch.no_grad()
def test_swin_layer(path: Path):
    vector = np.load(path)
    swin = layer(vector)
    fill(swin, int(vector['seed']))
    close(swin(tensor(vector, 'x')), vector['out'], 2e-5)
    window = int(vector['window'][0])
    assert (relative_index(window).numpy() == vector['rel_index']).all()


@each_vector('resshift/swin_layer_*.npz')
def test_masks(path: Path):
    """Zero, but for the last row of windows of a shifted block."""
    vector = np.load(path)
    columns = vector['x'].shape[-1] // int(vector['window'][0])
    for block, shift in enumerate(vector['shift']):
        mask = vector[f'mask{block}']
        assert not mask[:-columns].any()
        own = column_mask(int(vector['window'][block]), int(shift))
        expected = own.numpy() if shift else np.zeros_like(mask[0])
        assert (mask[-columns:] == expected).all()


@each_vector('resshift/resblock_*.npz')
@torch.no_grad()
def test_residual_block(path: Path):
    vector = np.load(path)
    x, emb = (tensor(vector, name) for name in ('x', 'emb'))
    block = ResShiftBlock(x.shape[1], vector['out'].shape[1], emb.shape[1])
    fill(block, int(vector['seed']))
    close(block(x, emb), vector['out'], 2e-5)


@each_vector('resshift/timestep_embedding*.npz')
def test_embedded_steps(path: Path):
    vector = np.load(path)
    for name in vector.files:
        if name.startswith('emb'):
            width = int(name.removeprefix('emb'))
            close(embed_steps(tensor(vector, 't'), width), vector[name], 1e-6)


@each_vector('resshift/vq_*.npz')
@torch.no_grad()
def test_autoencoder(path: Path):
    vector = np.load(path)
    vq = build_vq(str(vector['config'])).eval()
    fill_vq(vq, int(vector['seed']))
    for coder in (vq.vq.encoder, vq.vq.decoder):
        (attention,) = coder.mid_block.attentions
        assert isinstance(attention.processor, ChunkedAttention)
        attention.processor.scores = 500  # a few pieces
    z = tensor(vector, 'z')
    close(vq.encode(tensor(vector, 'x')), vector['z'], 1e-5)
    for distances in (1 << 24, 1000):
        indices = find_nearest(z, vq.codebook, distances)
        assert (indices.numpy() == vector['indices']).all()
    nearest = vq.codebook[indices].permute(0, 3, 1, 2)
    close(nearest, vector['zq'], 1e-6)
    close(vq.decode(z), vector['dec_quantized'], 5e-5)


@each_vector('resshift/schedule_*.npz')
def test_schedule(path: Path):
    vector = np.load(path)
    steps = len(vector['etas'])
    min_noise = 2 * vector['sqrt_etas'][0]
    etas = shift_levels(steps, float(min_noise))
    np.testing.assert_allclose(etas, vector['etas'], rtol=1e-9)
    of_x, of_x0, variance = zip(
        *(posterior(etas, t) for t in range(steps)), strict=True
    )
    for found, name in (
        (of_x, 'posterior_mean_coef_xt'),
        (of_x0, 'posterior_mean_coef_x0'),
        (variance, 'posterior_variance'),
        ([1 / input_scale(eta) for eta in etas], 'input_std'),
    ):
        np.testing.assert_allclose(found, vector[name], rtol=1e-9)


def toy_net(x: Tensor, t: int, lq: Tensor) -> Tensor:
    return torch.tanh(0.6 * x + 0.4 * lq) * (0.3 + 0.05 * t)


@each_vector('resshift/traj_*.npz')
def test_trajectory(path: Path):
    vector = np.load(path)
    lq, noise = tensor(vector, 'lq'), tensor(vector, 'noise')
    wide = F.interpolate(lq, scale_factor=4, mode='bicubic')
    close(wide, vector['lq_up'], 1e-6)
    seen, times, predicted = [], [], []

    def predict(x: Tensor, t: int) -> Tensor:
        seen.append(x)
        times.append(t)
        predicted.append(toy_net(x, t, lq))
        return predicted[-1]

    steps = len(noise) - 1
    etas = shift_levels(steps, {15: 0.04, 4: 0.2}[steps])
    x0 = sample_residual_shift(
        predict, F.avg_pool2d(wide, 4), etas, lambda number: noise[number]
    )
    assert times == [*vector['model_t'][:, 0]]
    for found, name in ((seen, 'model_in'), (predicted, 'pred_x0')):
        close(torch.stack(found), vector[name], 1e-6)
    close(x0, vector['x_prev'][-1], 1e-6)
    decoded = F.interpolate(x0, scale_factor=4, mode='nearest')
    close(decoded, vector['decoded'], 1e-6)


@each_vector('resshift/chop_*.npz')
def test_chopping(path: Path):
    """Plain means of tiles that are each nearest neighbours plus a number."""
    vector = np.load(path)
    if 'im' not in vector:
        pytest.skip('no picture')
    up, side = int(vector['sf']), int(vector['pch_size'])
    image = tensor(vector, 'im')
    height, width = image.shape[-2:]
    tiles = reweigh_tiles(
        plan_tiles(
            up * height,
            up * width,
            up * side,
            up * (side - int(vector['stride'])),
        ),
        torch.ones,
    )
    boxes = [(t.top, t.bottom, t.left, t.right) for t in tiles]
    assert (np.array(boxes) == vector['boxes_hhww_out']).all()
    wide = F.interpolate(image, scale_factor=up, mode='nearest')
    offset = float(vector['tile_offset'])
    pieces = [
        wide[..., t.top : t.bottom, t.left : t.right] + offset * i
        for i, t in enumerate(tiles)
    ]
    close(stitch_tiles(pieces, tiles), vector['out'], 1e-6)


def test_chops_begin_where_the_script_has_them():
    rows = read_manifest('resshift/chop_starts.tsv')
    assert rows
    for row in rows:
        side, stride = int(row['pch']), int(row['stride'])
        options = RestoreOptions(
            tile=4 * side, tile_overlap=4 * (side - stride)
        )
        tiles = plan_chops(int(row['length']), 1, options)
        starts = ','.join(str(tile.top // 4) for tile in tiles)
        assert starts == row['starts']


@each_vector('resshift/pad*.npz')
def test_padding(path: Path):
    vector = np.load(path)
    image = tensor(vector, 'im')
    height, width = image.shape[-2:]
    padded = pad_reflect(image, -height % 64, -width % 64)
    close(padded, vector['padded'], 1e-6)


def rows_of(network: nn.Module, prefix: str = '') -> list[tuple[str, str]]:
    return [
        (name.removeprefix(prefix), 'x'.join(map(str, parameter.shape)))
        for name, parameter in network.named_parameters()
    ]


@pytest.mark.parametrize(
    ('manifest', 'name'),
    [
        ('manifest_unet_realsr_x4', 'full'),
        ('manifest_unet_tiny', 'tiny'),
        ('manifest_unet_tiny_lq32', 'tiny_lq32'),
    ],
)
def test_inventory_of_the_unet(manifest: str, name: str):
    rows = read_manifest(f'resshift/{manifest}.tsv')
    with torch.device('meta'):
        unet = build_unet(name)
    expected = [
        (row['name'], row['shape']) for row in rows if row['kind'] == 'param'
    ]
    assert rows_of(unet) == expected
    others = {row['name'] for row in rows if row['kind'] == 'buffer'}
    endings = {other.rpartition('.')[2] for other in others}
    assert endings == {'relative_position_index', 'attn_mask'}
    if name == 'full':
        assert len(rows) == 564
        with torch.device('meta'):
            assert rows_of(ResShiftUNet()) == expected
        assert sum(p.numel() for p in unet.parameters()) == 118_593_583


def test_inventory_of_the_autoencoder():
    rows = read_manifest('resshift/map_vq_ldm_to_diffusers.tsv')
    with torch.device('meta'):
        vq, published = build_vq('vq_full'), VQAutoencoder()
    expected = {
        (row['diffusers_VQModel_name'], row['diffusers_shape']) for row in rows
    }
    assert {*rows_of(vq, 'vq.')} == {*rows_of(published, 'vq.')} == expected
    assert sum(p.numel() for p in vq.parameters()) == 55_322_782
    names = [row['resshift_vq_name'] for row in rows]
    assert [rename_ldm(name, 3) for name in names] == [
        row['diffusers_VQModel_name'] for row in rows
    ]
    manifest = read_manifest('resshift/manifest_vq_f4.tsv')
    assert sorted(names) == sorted(row['name'] for row in manifest)


def test_vectors_found():
    for kind in ('unet', 'vq', 'traj', 'schedule', 'chop'):
        assert find_vectors(f'resshift/{kind}_*.npz')
