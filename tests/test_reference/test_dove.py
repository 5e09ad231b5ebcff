"""DOVE's network, geometry and whole restorations, by the official script."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from star.apis.inference.build import build_model, load_config
from star.models.editors.dove.dove import DOVE
from star.models.editors.dove.geometry import (
    cut_axis,
    kept_spans,
    round_trips,
    script_size,
)
from star.models.editors.dove.network import STEP
from star.models.editors.dove.official import (
    OfficialPlan,
    restore_official,
    restore_pieces,
    truncate,
)
from star.models.editors.dove.one_step import rope, signal_share, to_clean
from tests.paths import VECTORS
from tests.test_reference.vectors import (
    close,
    find_vector,
    find_vectors,
    official_weight,
)

FOLDER = 'dove'
SLOW = {'path_9f', 'path_17f'}  # others have their cases, too


def every(pattern: str) -> list[Path]:
    """List a pattern's vectors, those in `hidden` as well."""
    folders = FOLDER, f'{FOLDER}/hidden'
    return [p for f in folders for p in find_vectors(f'{f}/{pattern}')]


def each(pattern: str) -> pytest.MarkDecorator:
    """Run a test once for each vector, as `path`."""
    paths = [
        pytest.param(
            path,
            id=f'{path.parent.name}-{path.stem}',
            marks=[pytest.mark.slow] * (path.stem in SLOW),
        )
        for path in every(pattern)
    ]
    if VECTORS is None:
        reason = f'no other vectors {pattern} (set STAR_VECTORS)'
        mark = pytest.mark.skip(reason)
        paths.append(pytest.param(None, id='others', marks=mark))
    return pytest.mark.parametrize('path', paths)


def read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """Read a vector's meta and its arrays."""
    with np.load(path) as vector:
        meta = json.loads(str(vector['meta']))
        arrays = {k: vector[k] for k in vector.files if k != 'meta'}
    return meta, {k: torch.from_numpy(v) for k, v in arrays.items()}


def fill(network: nn.Module, seed: int, abs_sum: float) -> None:
    """Fill a network by the rule, and check the sum of all that was drawn."""
    total = 0.0
    for name, parameter in network.named_parameters():
        value = official_weight(name, parameter.shape, seed)
        total += float(value.double().abs().sum())
        parameter.data.copy_(value)
    assert total == pytest.approx(abs_sum, rel=1e-6)


def options_of(words: list[str]) -> dict[str, Any]:
    """Read the options of the script."""
    found: dict[str, Any] = {}
    for word in words:
        if word.startswith('--'):
            values = found.setdefault(word[2:], [])
        else:
            values.append(int(word))
    return {k: v[0] if len(v) == 1 else v for k, v in found.items()}


def make_model(meta: dict, options: dict[str, Any]) -> DOVE:
    """Build the model of a vector, its prompt not filled."""
    vae = meta['vae']
    model = DOVE(
        transformer={
            k: v for k, v in meta['transformer'].items() if k != 'patch_bias'
        },
        autoencoder=dict(
            type='CogVideoXVAE',
            latent_channels=vae['latent_channels'],
            block_out_channels=vae['block_out_channels'],
            layers_per_block=vae['layers_per_block'],
            scaling_factor=vae['scaling_factor'],
            norm_groups=vae['norm_num_groups'],
        ),
        weights=[None] * 3,
        timestep=options.get('sr_noise_step', 399),
        noise_step=options.get('noise_step', 0),
        chunk=(options.get('chunk_len', 0), options.get('overlap_t', 8)),
    ).eval()
    official = model.autoencoder.vae
    official.use_tiling = 'is_vae_st' in options
    if official.use_tiling:
        official.enable_tiling(
            vae['sample_height'] // 2, vae['sample_width'] // 2
        )
    fill(model.backbone.transformer, meta['seed'], meta['abs_sum_transformer'])
    fill(official, meta['seed'], meta['abs_sum_vae'])
    return model


def plan_of(options: dict[str, Any]) -> OfficialPlan:
    return OfficialPlan(
        options.get('upscale', 4),
        (options.get('chunk_len', 0), options.get('overlap_t', 8)),
        tuple(options.get('tile_size_hw', (0, 0))),
        tuple(options.get('overlap_hw', (32, 32))),
    )


def probe(x: Tensor) -> Tensor:
    """Take the values that a probe holds."""
    count = min(x.numel(), 4096)
    places = np.linspace(0, x.numel() - 1, count).round().astype(np.int64)
    return x.reshape(-1)[torch.from_numpy(places)]


@each('transformer_*.npz')
@torch.inference_mode()
def test_transformer(path: Path):
    meta, a = read(path)
    from diffusers import CogVideoXTransformer3DModel

    network = CogVideoXTransformer3DModel(**meta['config']).eval()
    fill(network, meta['seed'], meta['abs_sum'])
    x = a['hidden_states']
    grid = x.shape[1] // 2, x.shape[3] // 2, x.shape[4] // 2
    cosines, sines = rope(grid, meta['config']['attention_head_dim'], x.device)
    assert torch.equal(cosines, a['rope_cos'])
    assert torch.equal(sines, a['rope_sin'])
    t = torch.tensor([meta['timestep']] * len(x))
    (v,) = network(
        x, a['text'], t, image_rotary_emb=(cosines, sines), return_dict=False
    )
    close(v, a['out'], 3e-6)
    close(to_clean(x, v, signal_share(meta['timestep'])), a['x0'], 3e-6)


@each('path_*.npz')
@torch.inference_mode()
def test_whole_restorations(path: Path):
    meta, a = read(path)
    options = options_of(meta['args'])
    model, plan = make_model(meta, options), plan_of(options)
    model.backbone.prompt.prompt_embedding = nn.Parameter(a['text'], False)
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    watch(model, seen)
    noises = iter([a[f'noise_{i}'] for i in range(meta['calls'])])

    def draw(number: int, z: Tensor) -> Tensor:
        if number == STEP:
            return a['added_noise'].transpose(1, 2)
        return next(noises)

    lq = a['lq'].permute(0, 3, 1, 2)
    clip = lq.float() / 127.5 - 1
    if 'prepared_probe' in a:
        prepared = plan.enlarge(clip)
        assert list(prepared.shape) == meta['padded']
        close(probe(prepared), a['prepared_probe'], 1e-6)
    out = restore_official(
        clip, plan, (model.autoencoder, model.backbone), draw, print
    )
    assert next(noises, None) is None and len(seen) == meta['calls']
    for i, (z, v, x0) in enumerate(seen):
        close(z.transpose(1, 2), a[f'latent_{i}'], 1e-5)
        close(v.transpose(1, 2), a[f'velocity_{i}'], 1e-5)
        close(x0.transpose(1, 2), a[f'x0_{i}'], 1e-5)
    height, width = script_size(tuple(lq.shape[-2:]), plan.scale)
    out = out[..., :height, :width]
    if 'out_probe' in a:
        result = (out * 0.5 + 0.5).transpose(0, 1)[None]
        assert list(result.shape) == meta['out_shape']
        close(probe(result), a['out_probe'], 1e-5)
    compare_pixels(out, a['out_u8'])


def watch(model: DOVE, seen: list) -> None:
    """Record what goes into the transformer, and what comes out."""
    network, velocity = model.backbone, model.backbone.velocity

    def watched(z: Tensor) -> Tensor:
        v = velocity(z)
        seen.append((z, v))
        return v

    network.velocity = watched
    network.register_forward_hook(
        lambda *args: seen.append((*seen.pop(), args[-1]))
    )


def compare_pixels(out: Tensor, expected: Tensor) -> None:
    """Compare 8 bits: rounding may differ in one of a thousand values."""
    found = (truncate(out) + 1) * 127.5
    difference = (found.round() - expected.permute(0, 3, 1, 2).float()).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() <= 0.001


@each('stitch_*.npz')
def test_pieces(path: Path):
    meta, a = read(path)
    tile, overlap = tuple(meta['tile']), tuple(meta['overlap_hw'])
    chunk = meta['chunk_len'], meta['overlap_t']
    plan = OfficialPlan(4, chunk, tile, overlap)
    small = a['lq_small'].permute(3, 0, 1, 2)[None].float() / 255
    x = small.repeat_interleave(4, -2).repeat_interleave(4, -1)
    count = []

    def toy(number: int, piece: Tensor) -> Tensor:
        count.append(number)
        return piece * (1 - 0.01 * number)

    out = restore_pieces(x, plan, toy)
    close(probe(out), a['out_probe'], 1e-6)
    assert len(count) == meta['pieces']
    owner = restore_pieces(torch.ones_like(x[:, :1]), plan, lambda i, x: x * i)
    assert torch.equal(owner[0, 0, :, ::2, ::2].short(), a['owner'])


def geometries() -> Iterator[dict]:
    for path in every('geometry*.json'):
        yield json.loads(path.read_text())


def test_chunks_of_time():
    for geometry in geometries():
        for row in geometry['temporal']:
            check_chunks(row)


def check_chunks(row: dict) -> None:
    axis = row['frames'], row['chunk_len'], row['overlap']
    if 'error' in row or row['coverage'] != 'ok':
        with pytest.raises(ValueError, match='the official script needs'):
            cut_axis(*axis)
        return
    spans = cut_axis(*axis)
    assert [list(span) for span in spans] == row['chunks']
    owner = np.full(row['frames'], -1)
    for i, (start, end) in enumerate(kept_spans(spans, row['overlap'])):
        owner[start:end] = i
    assert owner.tolist() == row['owner']
    assert round_trips(spans) == row['vae_round_trips']


def test_tiles():
    for geometry in geometries():
        for row in geometry['spatial']:
            axes = zip(row['size'], row['tile'], row['overlap'], strict=True)
            rows, columns = (cut_axis(*axis) for axis in axes)
            tiles = [[*r, *c] for r in rows for c in columns]
            assert tiles == row['tiles']
            kept = [
                kept_spans(spans, shared)
                for spans, shared in zip(
                    (rows, columns), row['overlap'], strict=True
                )
            ]
            written = [[*r, *c] for r in kept[0] for c in kept[1]]
            assert written == row['written']


def test_padding():
    for geometry in geometries():
        for row in geometry['padding']:
            size = row['height'], row['width']
            clip = torch.zeros(row['frames'], 1, *size, device='meta')
            padded = OfficialPlan(1).enlarge(clip).shape[-3:]
            more = [
                a - b for a, b in zip(padded, (len(clip), *size), strict=True)
            ]
            assert more == [row['pad_f'], row['pad_h'], row['pad_w']]
            assert script_size(size, 4) == (4 * size[0], 4 * size[1])


def test_schedule():
    path = find_vector(f'{FOLDER}/alphas_cumprod.npz')
    expected = np.load(path)['alphas_cumprod']
    found = [signal_share(t) for t in range(0, 1000, 111)]
    np.testing.assert_allclose(found, expected[::111], atol=1e-9, rtol=0)
    for geometry in geometries():
        for row in geometry['scheduler']['table']:
            for dtype, prefix in (
                (torch.float32, ''),
                (torch.bfloat16, 'bf16_'),
            ):
                one, zero = (
                    torch.ones(1, dtype=dtype),
                    torch.zeros(1, dtype=dtype),
                )
                share = signal_share(row['t'])
                signal = float(to_clean(one, zero, share))
                noise = -float(to_clean(zero, one, share))
                assert signal == pytest.approx(row[f'{prefix}sqrt'], abs=1e-7)
                rest = row[f'{prefix}sqrt_one_minus']
                assert noise == pytest.approx(rest, abs=1e-6)


def test_tiles_of_the_autoencoder():
    with torch.device('meta'):
        vae = build_model(load_config('dove')).autoencoder.vae
    for geometry in geometries():
        tiles = geometry['vae_tiles']
        assert vae.use_tiling
        assert [
            vae.tile_sample_min_height,
            vae.tile_sample_min_width,
        ] == tiles['tile_px']


def test_parameters_and_names():
    with torch.device('meta'):
        model = build_model(load_config('dove'))
    networks = {
        'transformer': (model.backbone.transformer, 5_570_676_352),
        'vae': (model.autoencoder.vae, 215_583_907),
    }
    total = 0
    for name, (network, count) in networks.items():
        lines = find_vector(f'{FOLDER}/manifest_{name}.tsv').read_text()
        rows = [line.split('\t') for line in lines.splitlines()[1:]]
        own = {
            key: 'x'.join(map(str, tensor.shape))
            for key, tensor in network.state_dict().items()
        }
        assert own == dict(rows)
        total += sum(p.numel() for p in network.parameters())
        assert sum(p.numel() for p in network.parameters()) == count
    prompt = model.backbone.prompt.prompt_embedding
    assert prompt.shape == (226, 4096)
    # what the paper states
    assert round((total + prompt.numel()) / 1e6, 2) == 5787.19


def test_vectors_found():
    for pattern in ('path_*.npz', 'stitch_*.npz', 'geometry*.json'):
        assert every(pattern)
