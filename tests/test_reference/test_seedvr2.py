"""SeedVR2's networks, windows and positions, as published."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from star.models.editors.seedvr2.blocks import Angles, Block, BlockSizes
from star.models.editors.seedvr2.causal import (
    CausalConv3d,
    Downsampler,
    Upsampler,
)
from star.models.editors.seedvr2.dit import SeedVR2DiT, drop_frequencies
from star.models.editors.seedvr2.rotary import (
    LANGUAGE,
    PIXEL,
    language_angles,
    language_frequencies,
    pixel_angles,
    pixel_frequencies,
    rotate,
    text_angles,
)
from star.models.editors.seedvr2.sampling import (
    sample_posterior,
)
from star.models.editors.seedvr2.tiles import plan_vae_tiles
from star.models.editors.seedvr2.vae import SCALING, SeedVR2VAE
from star.models.editors.seedvr2.windows import plan_boxes
from star.video.tiling import cut_tile, stitch_tiles
from tests.test_reference.seedvr2_vectors import (
    FOLDER,
    clip_of,
    compare_probes,
    fill,
    read,
    tokens_of,
    watched,
)
from tests.test_reference.vectors import (
    close,
    each_vector,
    read_shapes,
)

COUNTS = {'3b': 3_391_475_776, '7b': 8_239_607_872, 'vae': 250_648_227}


def make_dit(kind: str, config: Mapping) -> SeedVR2DiT:
    return SeedVR2DiT(
        kind,
        config['vid_dim'],
        config['num_layers'],
        config['heads'],
        config['head_dim'],
        config.get('mm_layers', 0),
        config['txt_in_dim'],
        windows=config['window'][0],
    )


def make_vae(config: Mapping) -> SeedVR2VAE:
    return SeedVR2VAE(
        config['block_out_channels'],
        config['layers_per_block'],
        config['latent_channels'],
        config['norm_num_groups'],
    )


@each_vector(f'{FOLDER}/windows*.json')
def test_windows(path: Path):
    cases = json.loads(path.read_text())
    for case in cases:
        for kind in ('regular', 'shifted'):
            boxes = plan_boxes(case['size'], case['window'], kind == 'shifted')
            assert [[*span] for box in boxes for span in box] == case[kind]
            assert len(boxes) == case[f'{kind}_count']


@each_vector(f'{FOLDER}/window_order*.npz')
def test_window_order(path: Path):
    meta, a = read(path)
    for kind in ('regular', 'shifted'):
        order, sizes, counts, begin = [], [], [], 0
        for shape in meta['shapes']:
            grid = torch.arange(math.prod(shape)).view(*shape) + begin
            boxes = plan_boxes(shape, meta['window'], kind == 'shifted')
            order += [grid[box.slices].flatten() for box in boxes]
            sizes += [box.size for box in boxes]
            counts.append(len(boxes))
            begin += grid.numel()
        found = torch.cat(order)
        assert torch.equal(found, a[f'{kind}_order'].long())
        assert torch.equal(found.argsort(), a[f'{kind}_inverse'].long())
        assert sizes == [tuple(row) for row in a[f'{kind}_shapes'].tolist()]
        assert counts == a[f'{kind}_counts'].tolist()


@each_vector(f'{FOLDER}/rope_*.npz')
def test_rotary(path: Path):
    meta, a = read(path)
    dim, length = meta['head_dim'], meta['txt_len']
    close(language_frequencies(dim), a['freqs_3b'], 1e-6)
    close(pixel_frequencies(dim), a['freqs_7b'], 5e-5)  # up to 402
    shapes = meta['shapes']
    video = torch.cat([language_angles(s, length, dim) for s in shapes])
    text = text_angles(length, dim).repeat(len(shapes), 1)
    pixel = torch.cat([pixel_angles(s, dim) for s in shapes])
    close(video, a['angles_3b_vid'], 1e-5)
    close(text, a['angles_3b_txt'], 1e-5)
    close(pixel, a['angles_7b'], 5e-5)
    pairs = ('', '3b', video), ('txt_', '3b', text), ('', '7b', pixel)
    for prefix, kind, angles in pairs:
        for name in ('q', 'k'):
            turned = rotate(a[f'{prefix}{name}'].transpose(0, 1), angles)
            expected = a[f'{prefix}{name}_{kind}'].transpose(0, 1)
            close(turned, expected, 5e-6)


@each_vector(f'{FOLDER}/block_*.npz')
@torch.no_grad()
def test_block(path: Path):
    meta, a = read(path)
    small = meta['kind'] == '3b'
    sizes = BlockSizes(
        meta['dim'],
        meta['heads'],
        meta['head_dim'],
        meta['mlp'] == 'swiglu',
        LANGUAGE if small else PIXEL,
    )
    last = small and meta['is_last_layer']
    block = Block(sizes, meta['shared_weights'], last)
    fill(block, meta['seed'], meta['abs_sum'])
    video, text = a['vid'].unflatten(0, meta['shape']), a['txt']
    angles = Angles(sizes, len(text), text.device)
    shifted = 'swin' in meta['window_method']
    boxes = plan_boxes(meta['shape'], meta['window'], shifted)
    mixed, said = block.attn(video.clone(), text, boxes, angles)
    close(mixed.flatten(0, 2), a['attn_vid'], 3e-5)
    close(said, a['attn_txt'], 3e-5)
    emb = a['emb'][0].unflatten(0, (-1, 2, 3))
    out, after = block(video.clone(), text, emb, boxes, angles)
    close(out.flatten(0, 2), a['out_vid'], 3e-5)
    if 'out_txt' in a:
        close(after, a['out_txt'], 3e-5)


@each_vector(f'{FOLDER}/dit_tiny_*.npz')
@torch.no_grad()
def test_transformer(path: Path):
    meta, a = read(path)
    network = make_dit(meta['kind'], meta['config'])
    fill(network, meta['seed'], meta['abs_sum'])
    clips = [
        (clip_of(a[f'vid{i}']), torch.tensor([t]), a[f'txt{i}'][None])
        for i, t in enumerate(meta['timesteps'])
    ]
    with watched(network, *layers_of_dit(network)) as found:
        out = [network(*clips[0])]
    if meta['kind'] == '3b':  # its last text has no effect
        a.pop(f'probe:blocks.{len(network.blocks) - 1}:txt', None)
    compare_probes(a, found, 2e-5)
    out += [network(*clip) for clip in clips[1:]]  # clip by clip
    for i, clip in enumerate(out):
        close(tokens_of(clip), a[f'out{i}'], 2e-5)
    if len(clips) > 1:  # in a batch, too
        x, t, text = clips[-1]
        pair = torch.cat([-x, x]), torch.cat([torch.ones(1), t])
        both = network(*pair, torch.cat([-text, text]))
        close(tokens_of(both[1:]), a[f'out{len(clips) - 1}'], 2e-5)


def layers_of_dit(
    network: SeedVR2DiT,
) -> tuple[dict[str, str], dict[str, str]]:
    """Name the probes of layers' results, and those of their inputs."""
    blocks = [f'blocks.{i}' for i in range(len(network.blocks))]
    same = 'txt_in', 'emb_in', *blocks, *(f'{b}.attn' for b in blocks)
    results = {name: name for name in same} | {'vid_in.proj': 'vid_in:vid'}
    if network.vid_out_ada is None:
        return results, {}
    results['vid_out_ada'] = 'vid_out_ada'
    return results, {'vid_out_ada': 'vid_out_norm'}


def layers_of_vae(vae: SeedVR2VAE) -> dict[str, str]:
    """Name the probes of the last layers of its parts."""
    found = {}
    for side, stack in (('encoder', 'down_blocks'), ('decoder', 'up_blocks')):
        same = f'{side}.conv_in', f'{side}.mid_block'
        found |= {name: name for name in same}
        samplers = stack.replace('_blocks', 'samplers')
        for i, level in enumerate(vae.get_submodule(f'{side}.{stack}')):
            kind = samplers if len(getattr(level, samplers)) else 'resnets'
            last = len(getattr(level, kind)) - 1
            name = f'{side}.{stack}.{i}'
            found[f'{name}.{kind}.{last}'] = name
    return found


@each_vector(f'{FOLDER}/vae_tiny*.npz')
@torch.no_grad()
def test_autoencoder(path: Path):
    meta, a = read(path)
    vae = make_vae(meta['config'])
    fill(vae, meta['seed'], meta['abs_sum'])
    for slices in (True, False):
        vae.slices = slices
        with watched(vae, layers_of_vae(vae)) as found:
            moments = vae.encode(a['x'])
            close(moments, a['moments'], 5e-5)
            close(vae.decode(a['z']), a['decoded'], 5e-5)
    compare_probes(a, found, 5e-5)  # of the whole clip
    z = sample_posterior(moments, a['eps'])
    close(z, a['latent_sample'], 5e-5)
    close(SCALING * z, a['latent_scaled'], 5e-5)


@each_vector(f'{FOLDER}/vae_layers*.npz')
@torch.no_grad()
def test_layers_of_the_autoencoder(path: Path):
    meta, a = read(path)
    layers: dict[str, nn.Module] = {
        'conv333': CausalConv3d(4, 6),
        'down_st': Downsampler(4, True),
        'down_s': Downsampler(4, False),
        'up_st': Upsampler(4, True),
        'up_s': Upsampler(4, False),
    }
    assert layers.keys() == meta['layers'].keys()
    for name, layer in layers.items():
        about = meta['layers'][name]
        fill(layer, about['seed'], about['abs_sum'])
        x, memory = a[f'{name}_x'], {}
        whole = layer(x, {})
        close(whole, a[f'{name}_y'], 1e-5)
        slices = x[:, :, :5], x[:, :, 5:9], x[:, :, 9:]
        parts = [layer(part, memory) for part in slices]
        assert torch.equal(torch.cat(parts, 2), whole)


@each_vector(f'{FOLDER}/vae_tiled*.npz')
@torch.no_grad()
def test_tiles_of_the_autoencoder(path: Path):
    meta, a = read(path)
    vae = make_vae(meta['config'])
    fill(vae, meta['seed'], meta['abs_sum'])
    cuts = tuple(meta['tile']), tuple(meta['overlap'])
    latents, pixels = plan_vae_tiles(a['z'].shape[-2:], *cuts, 8)
    pieces = [vae.decode(cut_tile(a['z'], tile)) for tile in latents]
    decoded = stitch_tiles(pieces, pixels)[:, :, 0, ::2, ::2]
    close(decoded, a['decoded_tiled'], 5e-5)
    pieces = [vae.encode(cut_tile(a['x'], tile, up=8)) for tile in latents]
    moments = stitch_tiles(pieces, latents)[:, :, 0]
    close(moments, a['moments_tiled'], 5e-5)


def test_released_files():
    with torch.device('meta'):
        networks = {
            '3b': SeedVR2DiT(),
            '7b': SeedVR2DiT('7b', 3072, 36, 24),
            'vae': SeedVR2VAE(),
        }
    for kind, network in networks.items():
        own = {k: x.shape for k, x in network.state_dict().items()}
        count = sum(shape.numel() for shape in own.values())
        assert count == COUNTS[kind]
        name = 'vae' if kind == 'vae' else f'dit_{kind}'
        listed = read_shapes(f'seedvr2/manifest_{name}.tsv')
        assert own == drop_frequencies(listed)  # computed here, one a block
        layers = len(getattr(network, 'blocks', ()))
        assert len(listed) == len(own) + layers
