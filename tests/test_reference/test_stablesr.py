"""StableSR's networks, sampler and tiles against numbers of its authors' code.

All vectors of a kind are found: another file of the same form is another
test. Weights come from the official names, ours from these by the rules that
load the published files.
"""

import json
import math
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from star.diffusion.respaced import (
    RespacedSchedule,
    respace,
    sample_ancestral,
    scaled_linear_product,
)
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
from star.video.canvas import plan_canvas
from star.video.gaussian_tiles import gaussian_weight, plan_gaussian_tiles
from star.video.tiling import cut_tile, stitch_tiles
from star.video.windows import plan_windows
from tests.test_reference.vectors import (
    each_vector,
    find_vector,
    official_weight,
    read_manifest,
)
from tests.test_reference.vectors import find_vectors as find

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


def respaced_files() -> list[Path]:
    files = find('stablesr/schedule_*.npz')
    return [f for f in files if re.fullmatch(r'schedule_\d+', f.stem)]


@pytest.mark.parametrize('path', respaced_files(), ids=lambda path: path.stem)
def test_schedule(path: Path):
    data = dict(np.load(path))
    steps = len(data['timesteps'])
    schedule = respace(steps)
    close = np.testing.assert_allclose
    assert list(schedule.timesteps) == data['timesteps'].tolist()
    close(schedule.betas, data['betas'], 1e-4)
    close(schedule.products, data['alphas_cumprod'], 1e-6)
    close(schedule.before, data['alphas_cumprod_prev'], 1e-6)
    of_x0, of_x = schedule.mean_weights()
    atol = 5e-6 if steps <= 200 else 2e-5
    close(of_x0, data['coef_x0'], 0, atol)
    close(of_x, data['coef_xt'], 0, atol)
    close(schedule.variances, data['posterior_variance'], 0, 3e-7)
    logs = [schedule.log_variance(i) for i in range(steps)]
    close(logs, data['posterior_log_variance_clipped'], 1e-5)
    close(math.sqrt(schedule.last), data['orig_sqrt_ac_999'], 1e-6)


@each_vector('stablesr/schedule_orig*.npz')
def test_whole_schedule(path: Path):
    expected = np.load(path)['alphas_cumprod']
    found = scaled_linear_product(len(expected), 0.00085, 0.012)
    np.testing.assert_allclose(found, expected, 1e-6)


def toy(q: Tensor, lq: Tensor, t: int, cond: Tensor) -> Tensor:
    """The denoiser of the recorded trajectories; it sees a tile's borders."""
    height, width = q.shape[-2:]
    place = torch.linspace(-1, 1, width)
    place = place + 0.5 * torch.linspace(-1, 1, height)[:, None]
    seen = 0.1 * (0.5 * q + 0.3 * lq * (1 + 0.0005 * t)).tanh()
    return q * (0.35 + 0.00065 * t) + seen + 0.02 * place + 0.1 * cond.mean()


@each_vector('stablesr/sample_*.npz')
def test_sampling(path: Path):
    data = read(path)
    schedule = respace(data['n_noise'])
    assert list(schedule.timesteps) == data['timesteps'].tolist()
    lq, seen = data['latent'], []
    x = schedule.start(lq, data['noise0'])
    torch.testing.assert_close(x, data['x_T'], rtol=0, atol=1e-6)
    tiles = plan_gaussian_tiles(
        *lq.shape[-2:], data['tile_size'], data['tile_overlap']
    )

    def predict(z: Tensor, t: int) -> Tensor:
        pieces = (
            toy(cut_tile(z, tile), cut_tile(lq, tile), t, data['cond'])
            for tile in tiles
        )
        return stitch_tiles(pieces, tiles)

    def adjust(z: Tensor, i: int) -> Tensor:
        seen.append(z)
        return z

    out = sample_ancestral(
        predict, x, schedule, lambda k: data['noise'][k], adjust
    )
    close = {'rtol': 0, 'atol': 3e-5}
    torch.testing.assert_close(out, data['out'], **close)
    check_steps(seen, data, schedule, close)


def check_steps(
    seen: list[Tensor], data: dict, schedule: RespacedSchedule, close: dict
) -> None:
    """Compare the latents after the steps that a file holds."""
    assert len(seen) == len(schedule.timesteps)
    for name, part in (('x_prev_first', slice(3)), ('x_prev_last', -3)):
        if name in data:
            part = part if isinstance(part, slice) else slice(part, None)
            found = torch.stack(seen[part])
            torch.testing.assert_close(found, data[name], **close)
    if 'x_prev' in data:
        found = torch.stack(seen)
        torch.testing.assert_close(found, data['x_prev'], **close)


@each_vector('stablesr/gaussian_weights*.npz')
def test_weights_of_tiles(path: Path):
    for name, expected in np.load(path).items():
        size = int(name.removeprefix('w'))
        found = gaussian_weight(size, size).numpy()
        ratio = expected.max() / found.max()
        np.testing.assert_allclose(found * ratio, expected, 1e-9)


def test_starts_of_latent_tiles():
    for row in read_manifest('stablesr/latent_tile_starts.tsv'):
        extent, tile, overlap = (
            int(row[name]) for name in ('extent', 'tile', 'overlap')
        )
        found = [start for start, _ in plan_windows(extent, tile, overlap)]
        assert found == [int(start) for start in row['starts'].split(',')]


@each_vector('stablesr/pixel_tiles*.npz')
def test_tiles_of_pixels(path: Path):
    data = read(path)
    image, size, boxes = data['im'], data['pch'], data['boxes_hhww'].tolist()
    tiles = plan_gaussian_tiles(*image.shape[-2:], size, size - data['stride'])
    places = [[t.top, t.bottom, t.left, t.right] for t in tiles]
    assert sorted(places) == sorted(boxes)
    numbers = [boxes.index(place) for place in places]  # columns first
    out = stitch_tiles(
        (
            cut_tile(image, tile) + data['tile_offset'] * number
            for tile, number in zip(tiles, numbers, strict=True)
        ),
        tiles,
    )
    torch.testing.assert_close(out, data['out'], rtol=0, atol=1e-6)


def sides(text: str) -> tuple[int, int]:
    height, width = map(int, text.split('x'))
    return height, width


@pytest.mark.parametrize(
    'row',
    read_manifest('stablesr/prep_sizes.tsv'),
    ids=lambda row: f'{row["lq_h"]}x{row["lq_w"]}',
)
def test_sizes(row: dict[str, str]):
    size = int(row['lq_h']), int(row['lq_w'])
    official, own = plan_canvas(size, official=True), plan_canvas(size)
    assert official.enlarged == sides(row['upsampled'])
    assert official.padded == sides(row['padded'])
    assert own.result == official.result == sides(row['ideal_output'])
    assert all(
        0 <= mine - needed < 32 and mine % 32 == 0 and mine <= theirs
        for mine, needed, theirs in zip(
            own.padded, own.enlarged, official.padded, strict=True
        )
    )
    tiling = next(v for k, v in row.items() if k.startswith('vae_tiling'))
    tiles = plan_gaussian_tiles(*official.padded, 1280, 280)
    rows, columns = ({getattr(t, k) for t in tiles} for k in ('top', 'left'))
    if tiling.endswith('tiles'):
        assert tiling == f'{len(rows)}x{len(columns)} tiles'
    else:  # which crashes where a single row or column is cut
        assert (len(tiles) == 1) == (tiling == 'one')
