"""The memory layout of the weights of convolutions."""

import torch
from torch import nn


def use_channels_last(network: nn.Module) -> None:
    """Lay out the weights of 2D convolutions with their channels last.

    Activations have the same layout. Convolutions whose weights have
    another would copy them at every call.

    Args:
        network: changed in place; tensors that are not 4-D stay as they are.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.ndim == 4:
            # unlike `contiguous`, `to` also changes the strides of 1x1 kernels
            tensor.data = tensor.data.to(memory_format=torch.channels_last)
