"""The official network's outputs on deterministic weights."""

import numpy as np
import pytest
import torch

from star.models.backbones import I2VGenUNet
from star.models.backbones.i2vgen.checkpoints import network_state, to_official
from star.models.controlnets import UNetControlNet
from tests.test_reference.vectors import (
    each_vector,
    find_vectors,
    official_weight,
)


@torch.no_grad()
def build(vector):
    """Networks filled one tensor at a time."""
    sizes = {'dim': int(vector['dim']), 'head_dim': int(vector['head_dim'])}
    with torch.device('meta'):
        networks = I2VGenUNet(sizes=sizes), UNetControlNet(sizes=sizes)
    for network in networks:
        network.to_empty(device='cpu').eval()
        network.to(memory_format=torch.channels_last)
    state = network_state(*networks)
    official = to_official({k: v.to('meta') for k, v in state.items()})
    for ours, (name, meta) in zip(
        state.values(), official.items(), strict=True
    ):
        value = official_weight(name, meta.shape, int(vector['seed']))
        if '.local1.' in name or '.local2.' in name:
            value *= float(vector['liem_scale'])
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


@each_vector('i2vgen/small_*.npz')
def test_i2vgen(path):
    compare(path)


@pytest.mark.slow
@each_vector('i2vgen/full_*.npz')
def test_i2vgen_full_size(path):
    compare(path)


def test_i2vgen_vectors_found():
    assert find_vectors('i2vgen/small_*.npz')
