"""Weights in 8 and 4 bits against their definitions."""

import copy

import pytest
import torch
from torch import nn

from star.models.layers.memory_format import use_channels_last
from star.models.layers.quantized import (
    BLOCK,
    FORMATS,
    NF4,
    decode,
    encode,
    quantize_weights,
)
from tests.test_models.networks import small_backbone, small_inputs

SHAPES = [(8, 6, 3, 3), (16, 24), (4, 5, 3, 1, 1)]
# relative error of normal numbers: a little more than measured
ERRORS = {'int8': 0.008, 'fp8': 0.03, 'nf4': 0.1}


def normal(*shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator).to(dtype)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('form', FORMATS)
@pytest.mark.parametrize('shape', SHAPES)
def test_rounding_errors(shape, form, dtype):
    weight = normal(*shape, dtype=dtype)
    found = decode(*encode(weight, form), form, weight.shape)
    assert (found.shape, found.dtype) == (weight.shape, dtype)
    error = (found - weight).float().norm() / weight.float().norm()
    assert 0 < error < ERRORS[form]


def test_int8_is_what_its_definition_says():
    weight = torch.tensor([[1.27, -0.5, 0.004, 0.0], [0, 0, 0, 0]])
    codes, scales = encode(weight, 'int8')
    torch.testing.assert_close(scales, torch.tensor([[0.01], [1.0]]))
    assert codes.tolist() == [[127, -50, 0, 0], [0, 0, 0, 0]]
    found = decode(codes, scales, 'int8', weight.shape)
    expected = torch.tensor([[1.27, -0.5, 0, 0], [0, 0, 0, 0]])
    torch.testing.assert_close(found, expected)


def test_fp8_keeps_the_largest_and_powers_of_two():
    weight = torch.tensor([[448.0, 3.5, -0.25, 17.0]])
    found = decode(*encode(weight, 'fp8'), 'fp8', weight.shape)
    # e4m3 has three bits after the first: 17 lies between 16 and 18
    assert found.tolist() == [[448.0, 3.5, -0.25, 16.0]]


def test_nf4_chooses_the_nearest_level():
    weight = torch.linspace(-2, 2, 3 * BLOCK).view(3, BLOCK)
    codes, scales = encode(weight, 'nf4')
    assert codes.numel() == weight.numel() / 2
    found = decode(codes, scales, 'nf4', weight.shape)
    blocks = weight.abs().amax(1, True)
    distance = (weight / blocks)[..., None] - torch.tensor(NF4)
    best = torch.tensor(NF4)[distance.abs().argmin(-1)] * blocks
    torch.testing.assert_close(found, best)


@pytest.mark.parametrize('form', FORMATS)
def test_a_network_computes_with_the_rounded_weights(form):
    network = small_backbone()
    use_channels_last(network)
    rounded = copy.deepcopy(network)
    count = quantize_weights(network, form)
    assert count > 10
    size = sum(t.nbytes for t in [*network.parameters(), *network.buffers()])
    full = sum(p.nbytes for p in rounded.parameters())
    assert size < (0.5 if form == 'nf4' else 0.55) * full
    changed = 0
    for name, layer in rounded.named_modules():
        other = network.get_submodule(name)
        if type(other) is not type(layer):
            assert isinstance(other, type(layer))
            layer.weight.data = other.weight
            changed += 1
    assert changed == count
    inputs = small_inputs(1)
    with torch.inference_mode():
        found = network(*inputs[:3])
        assert torch.equal(found, rounded(*inputs[:3]))
        exact = small_backbone()(*inputs[:3])
    assert not torch.equal(found, exact)
    network.to(torch.float32)  # placing it again changes nothing
    with torch.inference_mode():
        assert torch.equal(found, network(*inputs[:3]))


def test_what_suffers_stays_as_it_is():
    network = small_backbone()
    quantize_weights(network, 'int8')
    kept = {
        name
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
        and 'weight' in dict(layer.named_parameters(recurse=False))
    }
    for name in (
        'conv_out',
        'encoder.time_embed.0',
        'encoder.input_blocks.0.conv',
        'encoder.input_blocks.0.temporal.local1.conv',
        'encoder.input_blocks.1.res.time_proj',
    ):
        assert name in kept
    assert 'output_blocks.0.res.conv1' not in kept


def test_unknown_form():
    with pytest.raises(ValueError, match=r"^`quantize` must be .* 'int4'"):
        quantize_weights(small_backbone(), 'int4')
