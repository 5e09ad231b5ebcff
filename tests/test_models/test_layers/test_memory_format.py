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
