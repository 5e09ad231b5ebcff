"""2D convolutions get their channels last, other layers stay as they are."""

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from star.models.layers.memory_format import (
    align_weights,
    use_channels_last,
)


def test_layers_of_all_dimensions():
    layers = [nn.Conv2d(3, 5, 3), nn.Conv3d(5, 2, 3), nn.Linear(4, 4)]
    network = nn.Sequential(*layers, nn.Conv1d(2, 2, 3), nn.BatchNorm2d(2))
    before = {k: v.clone() for k, v in network.state_dict().items()}
    use_channels_last(network)
    last = torch.channels_last
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name])
        if tensor.ndim == 4:
            assert tensor.is_contiguous(memory_format=last)
            assert not tensor.is_contiguous()
        else:
            assert tensor.is_contiguous()


def test_strides_are_those_of_torch():
    """Also of 1x1 kernels, which are contiguous in both layouts."""
    ours, theirs = (
        nn.Sequential(
            nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 1), nn.Conv2d(4, 1, 2)
        )
        for _ in range(2)
    )
    use_channels_last(ours)
    theirs.to(memory_format=torch.channels_last)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert a.stride() == b.stride()


def test_weights_of_a_file_are_aligned(tmp_path):
    layer = torch.nn.Linear(3, 2)
    save_file(layer.state_dict(), tmp_path / 'a.safetensors')
    layer.load_state_dict(load_file(tmp_path / 'a.safetensors'), assign=True)
    before = [tensor.clone() for tensor in layer.parameters()]
    assert any(tensor.data_ptr() % 64 for tensor in layer.parameters())
    align_weights(layer)
    for tensor, old in zip(layer.parameters(), before, strict=True):
        assert tensor.data_ptr() % 64 == 0 and tensor.equal(old)
