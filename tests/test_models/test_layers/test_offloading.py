"""Weights that take turns on a device, with copies on the CPU."""

import pytest
import torch
from torch import nn

from star.models.layers.offloading import device_of, offload, set_device
from star.models.layers.quantized import quantize_weights
from tests.test_models.networks import (
    small_backbone,
    small_controlnet,
    small_inputs,
)

CPU = torch.device('cpu')


def networks():
    torch.manual_seed(0)
    autoencoder = nn.Sequential(nn.Conv3d(6, 6, 1), nn.GroupNorm(1, 6))
    return small_controlnet(), small_backbone(), autoencoder


@torch.inference_mode()
def run(controlnet, backbone, autoencoder):
    z_t, t, text, z_lq = small_inputs(1)
    z_t = autoencoder(z_t)
    control = controlnet(z_t, t, text, z_lq)
    v = backbone(z_t, t, text, control)
    return autoencoder(v[:, [0, 0, 1, 2, 3, 4]])


@pytest.mark.parametrize('way', ['model', 'block'])
@pytest.mark.parametrize('form', [None, 'int8', 'nf4'])
def test_results_are_the_same(way, form):
    controlnet, backbone, autoencoder = networks()
    if form:
        quantize_weights(controlnet, form)
        quantize_weights(backbone, form)
    expected = run(controlnet, backbone, autoencoder)
    turns = offload([controlnet, backbone], [autoencoder], way, CPU)
    assert torch.equal(run(controlnet, backbone, autoencoder), expected)
    assert torch.equal(run(controlnet, backbone, autoencoder), expected)
    if way == 'model':  # autoencoder, denoiser, autoencoder; denoiser, ...
        assert turns.moves == 5
    else:
        assert turns.moves > 2 * 50


def test_weights_move_and_return():
    one, two = nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    home = [layer.weight.data_ptr() for layer in (one, two[0])]

    def at_home():
        layers = one, two[0]
        return [
            layer.weight.data_ptr() == ptr
            for layer, ptr in zip(layers, home, strict=True)
        ]

    turns = offload([one], [two], 'model', CPU)
    assert at_home() == [True, True]
    one(torch.ones(1, 3))
    assert at_home() == [False, True] and turns.moves == 1
    one(torch.ones(1, 3))
    assert turns.moves == 1  # it is there already
    two(torch.ones(1, 3))
    assert at_home() == [True, False] and turns.moves == 2
    turns.release()
    assert at_home() == [True, True]


def test_where_a_part_computes_is_told():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    assert device_of(network) == CPU
    set_device(network, torch.device('meta'))
    assert device_of(network).type == 'meta'
    buffer = network[1].running_mean
    offload([network], [], 'block', CPU)
    assert device_of(network) == CPU
    assert network[1].running_mean is buffer  # it was there already


def test_unknown_way():
    with pytest.raises(ValueError, match=r"^`offload` must be .* 'disk'"):
        offload([nn.Linear(1, 1)], [], 'disk', CPU)
