"""2D convolutions get their channels last, other layers stay as they are."""

import torch
from torch import nn

from star.models.layers.memory_format import use_channels_last


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
