"""The official network's outputs on deterministic weights."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from star.models.backbones import I2VGenUNet
from star.models.backbones.i2vgen.checkpoints import network_state, to_official
from star.models.controlnets import UNetControlNet
from tests.paths import VECTORS, needs_vectors

FOLDER = VECTORS / 'i2vgen' if VECTORS else Path()
SMALL = sorted(FOLDER.glob('small_*.npz')) if VECTORS else []
FULL = sorted(FOLDER.glob('full_*.npz')) if VECTORS else []


def official_weight(name, shape, seed, liem_scale):
    key = (seed * 1000003 + zlib.crc32(name.encode())) % 2**63
    value = torch.empty(shape)
    value.normal_(generator=torch.Generator().manual_seed(key))
    if len(shape) >= 2:
        value *= 0.7 * value[0].numel() ** -0.5
    elif name.endswith('weight'):
        value = 1 + 0.1 * value
    else:
        value *= 0.05
    if '.local1.' in name or '.local2.' in name:
        value *= liem_scale
    return value


@torch.no_grad()
def build(vector):
    """Networks filled one tensor at a time."""
    sizes = {'dim': int(vector['dim']), 'head_dim': int(vector['head_dim'])}
    with torch.device('meta'):
        networks = I2VGenUNet(**sizes), UNetControlNet(**sizes)
    for network in networks:
        network.to_empty(device='cpu').eval()
        network.to(memory_format=torch.channels_last)
    state = network_state(*networks)
    official = to_official({k: v.to('meta') for k, v in state.items()})
    for ours, (name, meta) in zip(
        state.values(), official.items(), strict=True
    ):
        value = official_weight(
            name,
            meta.shape,
            int(vector['seed']),
            float(vector['liem_scale']),
        )
        ours.copy_(value.view(ours.shape))
    return networks


@torch.no_grad()
def compare(path):
    vector = np.load(path)
    backbone, controlnet = build(vector)
    x, hint, text, t, out = (
        torch.from_numpy(vector[key]) for key in ('x', 'hint', 'y', 't', 'out')
    )
    control = controlnet(x, t, text, hint)
    means = [r.mean((2, 3)).flatten(0, 1).numpy() for r in control]
    assert f'control_{len(means):02d}_mean' not in vector
    for i, mean in enumerate(means):
        np.testing.assert_allclose(
            mean, vector[f'control_{i:02d}_mean'], atol=5e-5, rtol=0
        )
    last = control[-1].flatten(0, 1).permute(0, 3, 1, 2).numpy()
    np.testing.assert_allclose(last, vector['control_last'], atol=5e-5, rtol=0)
    v = backbone(x, t, text, control)
    assert (v - out).abs().max() < 5e-5


@needs_vectors
@pytest.mark.parametrize('path', SMALL, ids=lambda path: path.stem)
def test_i2vgen(path):
    compare(path)


@needs_vectors
@pytest.mark.slow
@pytest.mark.parametrize('path', FULL, ids=lambda path: path.stem)
def test_i2vgen_full_size(path):
    compare(path)


@needs_vectors
def test_i2vgen_vectors_found():
    assert SMALL
    assert FULL
