"""The official CogVideoX transformer of STAR on deterministic weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from star.models.backbones import CogVideoXDiT
from star.models.backbones.cogvideox.checkpoints import convert, open_weights
from star.utils.tensor_files import held, write_safetensors
from tests.test_reference.vectors import (
    each_vector,
    find_vector,
    find_vectors,
    official_weight,
    read_manifest,
)

TINY = 'cogvideox/tiny_manifest.tsv'
STATE = 'cogvideox/tiny_a_state.safetensors'
SIZES = {
    'num_layers': 3,
    'num_heads': 4,
    'head_dim': 32,
    'time_dim': 32,
    'text_dim': 64,
}


def weight(name, shape, seed, boost):
    value = official_weight(name, shape, seed)
    factors = {'local': 5}
    if boost:
        factors |= {'adaLN': 6, 'matrix_': 3}
    for part, factor in factors.items():
        value *= factor if part in name else 1
    return value


def official_state(vector):
    seed, boost = int(vector['seed']), bool(vector['boost'])
    return {
        name: weight(name, shape, seed, boost)
        for name, shape in shapes(TINY)
        if 'freqs_' not in name
    }


@torch.no_grad()
def compare(path, vector):
    """Compare the network with a converted file's weights."""
    network = CogVideoXDiT(**SIZES).eval()
    network.load_state_dict(
        {
            name.removeprefix('backbone.'): tensor
            for name, tensor in load_file(path).items()
        }
    )
    outputs = []
    for block in network.transformer.transformer_blocks:
        block.register_forward_hook(lambda *args: outputs.append(args[-1]))
    x, lq, text, t, out = (
        torch.from_numpy(vector[key])
        for key in ('x', 'lq', 'text', 'timesteps', 'out')
    )
    v = network(x.transpose(1, 2), t, text, lq.transpose(1, 2))
    assert (v.transpose(1, 2) - out).abs().max() < 5e-6
    assert f'layer{len(outputs)}_text_mean' not in vector
    for i, (video, words) in enumerate(outputs):
        tokens = torch.cat([words, video], 1)
        for key, mean in {
            'text_mean': words.mean(1),
            'video_mean': video.mean(1),
            'token_mean': tokens.mean(2),
        }.items():
            expected = vector[f'layer{i}_{key}']
            np.testing.assert_allclose(mean, expected, atol=2e-6, rtol=0)


@each_vector('cogvideox/tiny_*.npz')
def test_cogvideox(path, tmp_path):
    vector = np.load(path)
    state = official_state(vector)
    total = sum(float(v.double().abs().sum()) for v in state.values())
    assert total == pytest.approx(float(vector['param_abs_sum']), rel=1e-9)
    found = convert({k: held(v) for k, v in state.items()})
    file = tmp_path / 'ours.safetensors'
    write_safetensors(file, found.tensors, torch.float32)
    compare(file, vector)


def test_cogvideox_official_file(tmp_path):
    found = convert(open_weights(find_vector(STATE)))
    file = tmp_path / 'ours.safetensors'
    write_safetensors(file, found.tensors, torch.float32)
    compare(file, np.load(find_vector('cogvideox/tiny_a.npz')))
    assert sorted(found.left_out.values()) == [0, 0, 1, 2]
    assert set(found.ranks.values()) == {16}
    assert len(found.ranks) == 3 * 4


def test_cogvideox_tiny_manifest():
    state = load_file(find_vector(STATE))
    assert dict(shapes(TINY)) == {k: list(v.shape) for k, v in state.items()}


def test_cogvideox_vectors_found():
    assert find_vectors('cogvideox/tiny_*.npz')


def shapes(manifest):
    """Names and shapes of an official file's tensors."""
    for row in read_manifest(manifest):
        yield row['name'], [int(side) for side in row['shape'].split('x')]


def test_cogvideox_manifest_is_what_the_full_size_needs():
    source = {
        name: held(torch.empty(shape, device='meta'))
        for name, shape in shapes('../cogvideox_manifest.tsv')
    }
    found = convert(source)
    with torch.device('meta'):
        network = CogVideoXDiT()
    expected = {
        f'backbone.{name}': tuple(tensor.shape)
        for name, tensor in network.state_dict().items()
    }
    assert {k: v.shape for k, v in found.tensors.items()} == expected
    assert len(source) == 1195
    assert sorted(found.left_out.values()) == [0, 0, 1, 2]
    assert len(found.ranks) == 42 * 4
    assert set(found.ranks.values()) == {512}
