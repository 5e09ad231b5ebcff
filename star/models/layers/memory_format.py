"""The memory layout of weights."""

import torch
from torch import nn

_ALIGNMENT = 64  # bytes; that of torch's own memory


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


def align_weights(network: nn.Module) -> None:
    """Move weights in a file's memory to addresses like torch's own.

    A safetensors file is mapped, and its tensors begin anywhere: kernels of
    CPUs round in another way there, so that results would depend on the file
    that weights came in.

    Args:
        network: changed in place; weights on other devices stay.
    """
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.device.type == 'cpu' and tensor.data_ptr() % _ALIGNMENT:
            tensor.data = tensor.data.clone()
