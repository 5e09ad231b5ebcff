"""Upscale-A-Video's sampling, propagation and tiles, by the official code."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from star.diffusion.guidance import guide
from star.models.editors.upscale_a_video.decoding import decode_chunks
from star.models.editors.upscale_a_video.propagation import (
    Propagation,
    PropagationRule,
)
from star.models.editors.upscale_a_video.sampling import (
    add_noise,
    call_windows,
    plan_steps,
    sample,
    signal_shares,
    window_starts,
)
from star.models.editors.upscale_a_video.tiles import (
    needs_tiles,
    plan_core_tiles,
)
from tests.test_reference.vectors import (
    each_vector,
    find_vectors,
)

FOLDER = 'upscale_a_video'
# core and border of a tile, in pixels of the input
CORE, BORDER = 256, 64


def read(path: Path) -> tuple[dict, dict[str, Tensor]]:
    """Read a vector's meta and its arrays."""
    with np.load(path) as vector:
        meta = json.loads(str(vector['meta']))
        arrays = {
            name: torch.from_numpy(vector[name])
            for name in vector.files
            if name != 'meta'
        }
    return meta, arrays


def toy_velocity(
    x: Tensor, lq: Tensor, context: Tensor, t: int, label: int
) -> Tensor:
    """The denoiser that the vectors describe, for one text."""
    k = torch.arange(x.shape[2]).view(-1, 1, 1)
    return (
        0.5 * torch.tanh(x * (1 + context.mean()))
        + 0.2 * lq.mean(1, keepdim=True)
        + 0.05 * (k - 3.5) * math.sin(math.pi * t / 1000)
        + 0.1 * x.roll(1, 2)
        + label / 1000
    )


def toy_decode(z: Tensor, lq: Tensor) -> Tensor:
    k = torch.arange(z.shape[2]).view(-1, 1, 1)
    x = z[:, :3] * 0.08333 + 0.3 * lq + 0.1 * k
    return x.repeat_interleave(4, -1).repeat_interleave(4, -2)


@each_vector(f'{FOLDER}/traj_*.npz')
def test_trajectories(path: Path):
    meta, a = read(path)
    share = signal_shares(meta['low_res_scheduler'])[meta['noise_level']]
    lq = add_noise(a['image'], a['lq_noise'], share)
    torch.testing.assert_close(lq, a['lq_noised'], atol=1e-6, rtol=0)
    steps = plan_steps(meta['steps'], meta['scheduler'])
    assert [step.t for step in steps] == a['timesteps'].tolist()
    levels = a['alphas_cumprod'][a['timesteps']]
    found = torch.tensor([step.signal for step in steps])
    torch.testing.assert_close(found, levels, atol=5e-7, rtol=0)
    calls = 0

    def velocity(x: Tensor, t: int) -> Tensor:
        def call(here: slice) -> Tensor:
            nonlocal calls
            calls += 1
            both = [
                toy_velocity(
                    x[:, :, here], lq[:, :, here], text, t, meta['noise_level']
                )
                for text in a['context']
            ]
            return guide(both[-1], both[0], meta['guidance'], 0)

        return call_windows(call, x, 8, 2)

    changes = {}
    if meta['propagation_steps']:
        flows = [a[f'flows_{way}ward'][0].transpose(0, 1) for way in WAYS]
        rule = Propagation(*flows, size=lq.shape[-2:])
        changes = dict.fromkeys(meta['propagation_steps'], rule)
    seen = []
    out = sample(
        a['init_noise'],
        steps,
        velocity,
        changes,
        lambda i, x0, x: seen.append((x0, x)),
    )
    x0s, xs = (torch.stack(each) for each in zip(*seen, strict=True))
    torch.testing.assert_close(xs, a['latents'], atol=1e-5, rtol=0)
    expected = a['x0']
    x0s = x0s if expected.ndim == 6 else x0s[-1]
    torch.testing.assert_close(x0s, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(out, a['out_latents'], atol=1e-5, rtol=0)
    # a window that comes twice in a row is computed once
    starts = window_starts(len(out[0, 0]), 8, 2)
    assert len(starts) == meta['unet_windows_per_step']
    assert calls == len(set(starts)) * meta['steps']
    pieces = list(decode_chunks(toy_decode, out / 0.08333, a['image'], 3))
    assert [len(p[0, 0]) for p in pieces] == meta['decode_chunks']
    decoded = torch.cat(pieces, 2)
    torch.testing.assert_close(decoded, a['decoded'], atol=1e-5, rtol=0)


WAYS = ('for', 'back')


@each_vector(f'{FOLDER}/prop_*.npz')
def test_propagation(path: Path):
    meta, a = read(path)
    rule = PropagationRule(
        meta['interpolation'],
        meta['fuse_scale'] if meta['mode'] == 'fuse' else 1,
        meta['alpha1'],
        meta['alpha2'],
    )
    flows = [a[f'flows_{way}ward'][0].transpose(0, 1) for way in WAYS]
    found = Propagation(*flows, size=a['x'].shape[-2:], rule=rule)
    for mask, expected in (
        (found.valid_forward, a['mask_for_backward_pass']),
        (found.valid_backward, a['mask_for_forward_pass']),
    ):
        assert torch.equal(mask.transpose(0, 1)[None], expected)
        assert 0 < mask.mean() < 1
    torch.testing.assert_close(found(a['x']), a['out'], atol=1e-6, rtol=0)


@each_vector(f'{FOLDER}/window_starts*.json')
def test_windows(path: Path):
    table = json.loads(path.read_text())
    assert len(table) > 30
    for length, starts in table.items():
        assert window_starts(int(length), 8, 2) == starts


@each_vector(f'{FOLDER}/tiles*.json')
def test_tiles(path: Path):
    table = json.loads(path.read_text())
    assert len(table) > 5
    for size, rows in table.items():
        width, height = map(int, size.split('x'))
        side, overlap = CORE + 2 * BORDER, 2 * BORDER
        tiles = plan_core_tiles(height, width, side, overlap, paste=True)
        found = [describe(tile) for tile in tiles]
        assert found == rows, size
    assert needs_tiles(384, 384, 384) and not needs_tiles(180, 320, 384)


def describe(tile) -> dict:
    """Describe a tile as the vectors do."""
    inner = tile.weight.nonzero()
    (top, left), (bottom, right) = inner.amin(0), inner.amax(0) + 1
    core = [tile.top + top, tile.top + bottom]
    core += [tile.left + left, tile.left + right]
    return {
        'in_yx': [tile.top, tile.bottom, tile.left, tile.right],
        'out_yx': [4 * int(each) for each in core],
        'crop_yx0': [4 * int(top), 4 * int(left)],
    }


def test_vectors_found():
    for pattern in ('traj_*.npz', 'prop_*.npz'):
        assert find_vectors(f'{FOLDER}/{pattern}')
