"""MGLD-VSR's networks, guidance, sampling and sizes, by the official code."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from star.diffusion.respaced import respace, sample_ancestral
from star.models.autoencoders.cfw_vae import SCALING, kl_state
from star.models.autoencoders.video_cfw_vae import VideoCFWAutoencoder
from star.models.backbones.mgld_vsr.spade_video_unet import SpadeVideoUNet
from star.models.backbones.stable_diffusion.names import (
    structure_state,
    unet_state,
)
from star.models.backbones.stable_diffusion.structure_encoder import (
    StructureEncoder,
)
from star.models.editors.mgld_vsr.flows import (
    Motion,
    compare_flows,
    resize_flow,
)
from star.models.editors.mgld_vsr.motion_guidance import (
    guide,
    motion_gradient,
)
from star.models.editors.mgld_vsr.tiles import plan_pixel_tiles
from star.models.layers.temporal_mixing import (
    TemporalAttentionMix,
    TemporalConvMix,
)
from star.video.canvas import plan_canvas
from star.video.color_fix import IMAGE_COLOR_FIXES
from star.video.gaussian_tiles import gaussian_weight, plan_gaussian_tiles
from star.video.tiling import cut_tile, stitch_tiles
from tests.test_reference.vectors import (
    close,
    each_vector,
    find_vector,
    official_weight,
    read_shapes,
)

FOLDER = 'mgld_vsr'
ALPHA = 'temporal_alpha'
State = Mapping[str, Tensor]


def read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """Read a vector's meta and its arrays."""
    with np.load(path) as vector:
        meta = json.loads(str(vector['meta'])) if 'meta' in vector else {}
        arrays = {
            name: torch.from_numpy(vector[name])
            for name in vector.files
            if name != 'meta'
        }
    return meta, arrays


def fill(
    shapes: Mapping[str, torch.Size],
    seed: int,
    alpha: float | None = None,
    abs_sum: float | None = None,
) -> dict[str, Tensor]:
    """Fill an official network, and check the sum of all that was drawn."""
    state = {k: official_weight(k, shape, seed) for k, shape in shapes.items()}
    if abs_sum is not None:
        found = sum(float(x.double().abs().sum()) for x in state.values())
        assert found == pytest.approx(abs_sum, rel=1e-9)
    if alpha is not None:
        for name in state:
            if name.endswith(ALPHA):
                state[name].fill_(alpha)
    return state


def tiny_unet(sizes: dict) -> SpadeVideoUNet:
    levels = sizes['attention_resolutions']
    return SpadeVideoUNet(
        num_frames=sizes['num_frames'],
        channels=[sizes['model_channels'] * n for n in sizes['channel_mult']],
        layers=sizes['num_res_blocks'],
        attention_levels=[int(math.log2(n)) for n in levels],
        head_dim=sizes['num_head_channels'],
        context=sizes['context_dim'],
        structure=sizes['semb_channels'],
    ).eval()


def tiny_structure(sizes: dict) -> StructureEncoder:
    levels = sizes['attention_resolutions']
    return StructureEncoder(
        channels=[sizes['model_channels'] * n for n in sizes['channel_mult']],
        layers=sizes['num_res_blocks'],
        attention_levels=[int(math.log2(n)) for n in levels],
        heads=sizes['num_heads'],
        outputs=sizes['out_channels'],
        inputs=sizes['in_channels'],
    ).eval()


def tiny_vae(sizes: dict) -> VideoCFWAutoencoder:
    return VideoCFWAutoencoder(
        num_frames=sizes['num_frames'],
        channels=[sizes['ch'] * n for n in sizes['ch_mult']],
        layers=sizes['num_res_blocks'],
    ).eval()


def tiny_config() -> dict:
    return json.loads(find_vector(f'{FOLDER}/tiny_config.json').read_text())


def motion_of(a: Mapping[str, Tensor]) -> Motion:
    """Build a clip's motion; the official code names flows by their use."""
    motion = compare_flows(a['flow_bwd_prop'][0], a['flow_fwd_prop'][0])
    assert torch.equal(motion.lost_next, a['fwd_occ'][0])
    assert torch.equal(motion.lost_previous, a['bwd_occ'][0])
    return motion


@each_vector(f'{FOLDER}/tiny_unet_s*.npz')
@torch.no_grad()
def test_denoiser(path: Path):
    meta, a = read(path)
    sizes, seed = tiny_config(), meta['seed']
    unet, encoder = (
        tiny_unet(sizes['unet']),
        tiny_structure(sizes['structcond']),
    )
    alpha = meta['temporal_alpha_override']
    names = read_shapes(f'{FOLDER}/tiny_unet_manifest.tsv')
    state = fill(names, seed, alpha, meta['abs_sum_unet'])
    unet.load_state_dict(unet_state(unet, state), assign=True)
    names = read_shapes(f'{FOLDER}/tiny_structcond_manifest.tsv')
    state = fill(names, seed, abs_sum=meta['abs_sum_structcond'])
    encoder.load_state_dict(structure_state(state), assign=True)

    t = torch.tensor([meta['timestep']])
    structure = encoder(a['lq'], t)
    expected = {int(k[7:]): v for k, v in a.items() if k[:7] == 'struct:'}
    assert structure.keys() == expected.keys()
    for width, feature in expected.items():
        close(structure[width], feature, 3e-5)
    out = unet(a['x'], t, a['context'], structure)
    close(out, a['out'], 3e-5)

    # a second clip in the batch, at another time, changes nothing
    x, lq = (torch.cat([a[name].flip(0), a[name]]) for name in ('x', 'lq'))
    times = torch.tensor([7, meta['timestep']])
    text = torch.cat([-a['context'], a['context']])
    both = unet(x, times, text, encoder(lq, times))
    close(both[len(out) :], a['out'], 3e-5)
    assert (both[: len(out)] - a['out']).abs().max() > 0.01


@each_vector(f'{FOLDER}/tiny_video_vae_s*.npz')
@torch.no_grad()
def test_autoencoder(path: Path):
    meta, a = read(path)
    with torch.device('meta'):
        vae = tiny_vae(tiny_config()['video_vae']['ddconfig'])
    names = read_shapes(f'{FOLDER}/tiny_video_vae_manifest.tsv')
    alpha = meta['temporal_alpha_override']
    state = fill(names, meta['seed'], alpha, meta['abs_sum'])
    vae.load_state_dict(kl_state(vae, state), assign=True)
    posterior = vae.encode(a['lq'])
    close(posterior.mean, a['moments_mean'], 1e-4)
    close(posterior.logvar, a['moments_logvar'], 1e-4)
    z, weight = SCALING * a['z'], meta['fusion_w']
    close(vae.decode(z, posterior.features, weight), a['out'], 1e-4)

    twice = [torch.cat([f.flip(0), f]) for f in posterior.features]
    both = vae.decode(torch.cat([-z, z]), twice, weight)
    close(both[len(z) :], a['out'], 1e-4)


@each_vector(f'{FOLDER}/temporal_modules*.npz')
@torch.no_grad()
def test_temporal_layers(path: Path):
    meta, a = read(path)
    layers: dict[str, nn.Module] = {
        'stconv': TemporalConvMix(a['stconv_in'].shape[1], meta['frames']),
        'tattn': TemporalAttentionMix(
            a['tattn_in'].shape[1], meta['frames'], head_dim=32
        ),
    }
    for name, layer in layers.items():
        own = layer.state_dict()
        assert own.keys() == set(meta['names'][name])
        shapes = {k: v.shape for k, v in own.items()}
        state = fill(shapes, meta['seed'], meta['temporal_alpha'])
        layer.load_state_dict(state)
        close(layer(a[f'{name}_in']), a[f'{name}_out'], 3e-6)


@each_vector(f'{FOLDER}/guidance_*.npz')
@torch.inference_mode()
def test_guidance(path: Path):
    meta, a = read(path)
    motion, z = motion_of(a), a['latents'].clone()
    loss, gradient = motion_gradient(z, motion)
    close(loss, a['loss'], 1e-5)
    close(gradient, a['grad'], 1e-7)
    schedule = respace(50)
    indices = meta['index_in_respaced_50']
    for i, after in zip(indices, meta['loss_after'], strict=True):
        variance = schedule.log_variance(i)
        assert variance == pytest.approx(float(a[f'logvar_t{i}']), rel=1e-5)
        moved = guide(z, motion, variance)
        close(moved, a[f'updated_t{i}'], 1e-5)
        assert float(motion_gradient(moved, motion)[0]) == pytest.approx(
            after, abs=1e-5
        )


@each_vector(f'{FOLDER}/flow_prep*.npz')
def test_flows(path: Path):
    _, a = read(path)
    size = tuple(a['flow_fwd_prop'].shape[-2:])
    pairs = ('2to1', 'fwd_prop'), ('1to2', 'bwd_prop')
    for raft, resized in pairs:
        found = resize_flow(a[f'raft_flow_{raft}'][0], size)
        close(found, a[f'flow_{resized}'][0], 1e-6)
    motion_of(a)


@each_vector(f'{FOLDER}/schedule*.npz')
def test_schedule(path: Path):
    _, a = read(path)
    schedule = respace(50)
    assert schedule.timesteps == tuple(a['timesteps_50'].tolist())
    assert respace(10).timesteps == tuple(a['timesteps_10'].tolist())
    of_x0, of_x = schedule.mean_weights()
    tables = {
        'betas_50': schedule.betas,
        'alphas_cumprod_50': schedule.products,
        'posterior_variance_50': schedule.variances,
        'posterior_mean_coef1_50': of_x0,
        'posterior_mean_coef2_50': of_x,
    }
    for name, table in tables.items():
        torch.testing.assert_close(
            torch.tensor(np.asarray(table)), a[name], rtol=1e-6, atol=1e-12
        )
    logs = [schedule.log_variance(i) for i in range(50)]
    expected = a['posterior_log_variance_clipped_50']
    torch.testing.assert_close(torch.tensor(logs), expected)
    for name in ('weights_64', 'weights_16'):
        size = len(a[name])
        weight = gaussian_weight(size, size)
        torch.testing.assert_close(
            weight / weight.max(), a[name] / a[name].max(), rtol=0, atol=1e-12
        )


def toy_noise(x: Tensor, lq: Tensor, t: int, context: Tensor) -> Tensor:
    """The denoiser that the vectors describe."""
    rows, columns = (torch.linspace(0, 1, side) for side in x.shape[-2:])
    return (
        0.8 * x.tanh()
        + 0.15 * lq
        + 0.2 * math.sin(math.pi * t / 1000)
        + 0.1 * columns
        - 0.07 * rows[:, None]
        + 0.05 * context.mean()
    )


@each_vector(f'{FOLDER}/traj_*.npz')
@torch.inference_mode()
def test_trajectories(path: Path):
    meta, a = read(path)
    steps, lq = meta['steps'], a['init_latent']
    schedule = respace(steps)
    start = schedule.start(lq, a['noise0'])
    close(start, a['x_T'], 5e-4)
    sizes = meta['tile'], meta['overlap']
    tiles = plan_gaussian_tiles(*lq.shape[-2:], *sizes)
    assert len(tiles) == len(meta['calls_first_step'])
    guided = meta['guidance_scale'] is not None
    motion = motion_of(a) if guided else None

    def predict(x: Tensor, t: int) -> Tensor:
        pieces = (
            toy_noise(cut_tile(x, tile), cut_tile(lq, tile), t, a['context'])
            for tile in tiles
        )
        return stitch_tiles(pieces, tiles)

    def adjust(x: Tensor, i: int) -> Tensor:
        if motion is not None:
            x = guide(x, motion, schedule.log_variance(i))
        close(x, a['latents'][steps - 1 - i], 5e-4)
        return x

    out = sample_ancestral(
        predict, start, schedule, lambda k: a['step_noise'][k], adjust
    )
    close(out, a['out'], 5e-4)


@each_vector(f'{FOLDER}/color_fix*.npz')
def test_colors(path: Path):
    _, a = read(path)
    for name in ('adain', 'wavelet'):
        close(IMAGE_COLOR_FIXES[name](a['out'], a['lq']), a[name], 2e-5)


@each_vector(f'{FOLDER}/geometry*.json')
def test_sizes(path: Path):
    geometry = json.loads(path.read_text())
    for size, expected in geometry['sizes'].items():
        height, width = map(int, size.split('x'))
        canvas = plan_canvas((height, width), official=True)
        assert list(canvas.enlarged) == expected['upsampled']
        assert list(canvas.padded) == expected['padded']
        assert (max(canvas.padded) > 960) == expected['tiled']
        assert list(canvas.result) == [4 * height, 4 * width]
    for side, expected in geometry['pixel_tiles'].items():
        for size in ((int(side), 64), (64, int(side))):
            tiles = plan_pixel_tiles(size, 960, 210, official=True)
            along = size[1] == 64
            starts = [t.pixels.top if along else t.pixels.left for t in tiles]
            assert starts == expected['image']
            flows = [t.top if along else t.left for t in tiles]
            assert flows == expected['flow']
    for side, expected in geometry['latent_tiles'].items():
        tiles = plan_gaussian_tiles(int(side), 64, 64, 32)
        assert [tile.top for tile in tiles] == expected
