"""SeedVR2's sampler, sizes, colours and whole restorations, as published."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from star.models.editors.diffusion_baseline import WindowJob
from star.models.editors.seedvr2.geometry import (
    MULTIPLE,
    centre_crop,
    lengthen,
    resize,
)
from star.models.editors.seedvr2.sampling import guide as guide_tokens
from star.models.editors.seedvr2.sampling import (
    make_condition,
    mix,
    sample,
    sample_posterior,
    shift_timestep,
    timesteps,
)
from star.models.editors.seedvr2.seedvr2 import Draws, SeedVR2
from star.models.editors.seedvr2.vae import SCALING
from star.models.restoration.events import EventRelay
from star.models.restoration.noise import FrameNoise
from star.models.restoration.segments import segments
from star.video.color_fix import (
    IMAGE_COLOR_FIXES,
    adaptive_color_fix,
    hsv_color_fix,
    lab_color_fix,
    limited_wavelet_fix,
    wavelet_color_fix,
)
from star.video.padding import pad_amount
from tests.test_reference.seedvr2_vectors import (
    FOLDER,
    clip_of,
    fill,
    read,
    tokens_of,
)
from tests.test_reference.vectors import close, each_vector


def area_size(size: tuple[int, int], area: tuple[int, int]) -> tuple[int, int]:
    """Compute the size of a frame that the script resizes to an area."""
    scale = math.sqrt(area[0] * area[1] / (size[0] * size[1]))
    return round(size[0] * scale), round(size[1] * scale)


@each_vector(f'{FOLDER}/schedule*.npz')
def test_schedule(path: Path):
    _, a = read(path)
    for steps in (1, 2, 4, 10, 50):
        found = torch.tensor(timesteps(steps))
        close(found, a[f'timesteps_{steps}'], 1e-4)
    zeros, ones = torch.zeros(()), torch.ones(())
    for i, t in enumerate(a['t']):
        close(mix(ones, zeros, float(t)), a['A'][i], 1e-6)
        close(mix(zeros, ones, float(t)), a['B'][i], 1e-6)
    shapes = a['latent_shapes'].tolist()
    for i, (frames, height, width) in enumerate(shapes):
        shape, literal = (frames, height, width), (height, width, 16)
        for j, t in enumerate(a['t'].tolist()):
            found = shift_timestep(t, shape)
            as_called = float(a['transform_as_called'][i, j])
            assert found == pytest.approx(
                float(a['transform'][i, j]), abs=1e-4
            )
            assert found == pytest.approx(float(a['transform64'][i, j]))
            assert shift_timestep(t, literal) == pytest.approx(
                as_called, abs=1e-4
            )


@each_vector(f'{FOLDER}/conditions*.npz')
def test_conditions(path: Path):
    meta, a = read(path)
    for i, case in enumerate(meta['cases']):
        size = case['shape']
        lq, noise = a[f'lq{i}'], a[f'aug{i}']
        shapes = {'literal': [*size[1:], 16], 'intended': size}
        for kind, shape in shapes.items():
            t = shift_timestep(1000 * case['scale'], shape)
            assert t == pytest.approx(case[f't_{kind}'][0], abs=1e-4)
            noised = mix(lq, noise, t)
            close(noised, a[f'noised_{kind}{i}'], 1e-5)
            if kind == 'literal':
                condition = tokens_of(make_condition(clip_of(noised)))
                close(condition, a[f'condition{i}'], 1e-5)


@each_vector(f'{FOLDER}/sampler_*.npz')
def test_sampler(path: Path):
    meta, a = read(path)
    lq, called = clip_of(a['lq']), []
    if meta['cond_noise_scale']:
        size = [*lq.shape[3:], lq.shape[1]]
        t = shift_timestep(1000 * meta['cond_noise_scale'], size)
        lq = mix(lq, clip_of(a['aug_noise']), t)
    condition = make_condition(lq)
    close(tokens_of(condition), a['condition'], 1e-5)

    def toy(x: Tensor, t: float, text: str) -> Tensor:
        called.append(t)
        v = torch.tanh(0.6 * x + 0.4 * lq) * (0.2 + t / 1000)
        return v + 0.1 * a[text].mean() + 0.05 * condition[:, -1:]

    def velocity(x: Tensor, t: float) -> Tensor:
        good = toy(x, t, 'text')
        if meta['cfg'] == 1:
            return good
        bad = toy(x, t, 'text_negative')
        return guide_tokens(good, bad, meta['cfg'], meta['rescale'])

    z = sample(velocity, clip_of(a['noise']), meta['steps'])
    close(tokens_of(z), a['latent'], 1e-5)
    expected = [t for (t,) in meta['timesteps_called']]
    assert called == pytest.approx(expected, abs=1e-3)


@each_vector(f'{FOLDER}/resize*.npz')
def test_resize(path: Path):
    meta, a = read(path)
    for i, case in enumerate(meta['cases']):
        x = a[f'x{i}'].float() / 127.5 - 1
        size = area_size(tuple(x.shape[-2:]), case['res'])
        large = resize(x, size)
        expected = a[f'resized{i}'].clamp(0, 1) * 2 - 1
        close(large, expected, 1e-6)
        close(centre_crop(size).cut(large), a[f'y{i}'], 1e-6)


@each_vector(f'{FOLDER}/geometry*.json')
def test_sizes(path: Path):
    known = json.loads(path.read_text())
    for case in known['official_sizes']:
        size = area_size(case['input'], case['res'])
        place = centre_crop(size)
        assert [*size] == case['resized']
        assert [place.height, place.width] == case['cropped']
        assert [place.top, place.left] == case['crop_top_left']
    for case in known['official_frames']:
        count = case['frames']
        frames = lengthen(torch.arange(count), 4 * case['sp_size'])
        assert len(frames) == case['padded']
        assert frames[count:].tolist() == case['tail']


@each_vector(f'{FOLDER}/geometry*.json')
def test_sizes_of_the_community(path: Path):
    """Scales, padding and windows agree with the community's program.

    Ours differs where it follows the official script: a short clip repeats
    its last frame, where the other one goes back, and no frames come before
    the first. Overlaps are faded as in all methods here.
    """
    known = json.loads(path.read_text())
    for case in known['community_sizes']:
        height, width = case['input']
        scale = case['shortest_edge'] / min(height, width)
        if case['max_edge']:
            scale = min(scale, case['max_edge'] / max(height, width))
        size = round(height * scale), round(width * scale)
        assert [*size] == case['resized']
        bottom, right = pad_amount(*size, (MULTIPLE, MULTIPLE), (0, 0))
        assert [size[0] + bottom, size[1] + right] == case['padded']
        # they make it even; ours is exact
        assert case['output'] == [side - side % 2 for side in size]
    for case in known['community_frame_padding']:
        frames = lengthen(torch.arange(case['frames'])).tolist()
        assert len(frames) == len(case['order'])
        assert frames[: case['frames']] == case['order'][: case['frames']]
    for case in known['community_batches']:
        frames = iter(torch.arange(case['total']))
        shared = case['effective_overlap']
        found = segments(next(frames), frames, case['batch'], shared)
        spans = [[start, start + len(clip)] for start, clip, _ in found]
        assert spans == case['batches']


@each_vector(f'{FOLDER}/color_fix*.npz')
def test_colour_fixes(path: Path):
    _, a = read(path)
    fixes = {
        'wavelet': limited_wavelet_fix,
        'wavelet_nolimit': wavelet_color_fix,
        'adain': IMAGE_COLOR_FIXES['adain'],
        'hsv': hsv_color_fix,
        'wavelet_adaptive': adaptive_color_fix,
    }
    for name, fix in fixes.items():
        close(fix(a['content'], a['style']), a[name], 1e-5)
    found = lab_color_fix(a['content'], a['style'])
    error = (found - a['lab']).abs().flatten()
    assert error.quantile(0.99) < 1e-5
    assert error.max() < 1e-3


def tiny_restorer(meta: Mapping, config: Mapping) -> SeedVR2:
    vae = meta['vae_config']
    model = SeedVR2(
        {
            'variant': meta['kind'],
            'dim': config['vid_dim'],
            'layers': config['num_layers'],
            'heads': config['heads'],
            'head_dim': config['head_dim'],
            'separate': config.get('mm_layers', 0),
            'text_dim': config['txt_in_dim'],
            'windows': config['window'][0],
        },
        {
            'widths': vae['block_out_channels'],
            'layers': vae['layers_per_block'],
            'latent_channels': vae['latent_channels'],
            'norm_groups': vae['norm_num_groups'],
        },
        text_lengths=(6, 6),
    )
    fill(model.autoencoder, meta['vae_seed'], meta['vae_abs_sum'])
    fill(model.backbone, meta['dit_seed'], meta['dit_abs_sum'])
    return model


@each_vector(f'{FOLDER}/pipeline_*.npz')
@torch.inference_mode()
def test_whole_restoration(path: Path):
    meta, a = read(path)
    model = tiny_restorer(meta, _config(path, meta))
    model.texts.positive.copy_(a['text'])
    frames = a['frames'].float() / 127.5 - 1
    size = area_size(tuple(frames.shape[-2:]), meta['res'])
    x = centre_crop(size).cut(resize(frames, size))
    close(x.transpose(0, 1), a['transformed'], 1e-6)
    noise = clip_of(a['noise'])
    draws = Draws(a['eps'], noise, noise)
    noises = FrameNoise(0)
    job = WindowJob(
        model.restore_options, noises, EventRelay(), 0, len(frames)
    )
    padded = lengthen(x)
    moments = model.autoencoder.encode(padded.transpose(0, 1)[None])
    lq = SCALING * sample_posterior(moments, draws.posterior)
    close(tokens_of(lq), a['latent'], 1e-5)
    out = model.restore_large(padded, job, draws)[: len(frames)]
    close(out, a['sample'], 5e-5)
    fixed = wavelet_color_fix(out, x).clamp(-1, 1)
    pixels = ((fixed + 1) * 127.5).round().int()
    assert (pixels - a['output_u8'].int()).abs().max() <= 1


def _config(path: Path, meta: Mapping) -> Mapping:
    for key in ('dit_config', 'config'):
        if key in meta:
            return meta[key]
    sizes = json.loads((path.parent / 'dit_tiny_config.json').read_text())
    return sizes[f'tiny_{meta["kind"]}']
