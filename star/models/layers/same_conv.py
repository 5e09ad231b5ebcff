"""Convolutions that take one library on a CPU, whatever their size."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Triple = tuple[int, ...]  # of time, height and width


def same_conv(
    x: Tensor, weight: Tensor, bias: Tensor | None, groups: int = 1
) -> Tensor:
    """Convolve without padding and stride; a pixel is the same in any area.

    On a CPU `conv2d` takes another library for small inputs, with another
    order of sums. That is prevented for float32.

    Args:
        x: (n, C, h, w).
        weight: (D, C / groups, kh, kw).
        bias: (D,) or None.
        groups: of channels.
    """
    if takes_onednn(x):
        return torch.mkldnn_convolution(
            x, weight, bias, (0, 0), (1, 1), (1, 1), groups
        )
    return F.conv2d(x, weight, bias, groups=groups)


def clip_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    padding: Triple = (0, 0, 0),
    stride: Triple = (1, 1, 1),
) -> Tensor:
    """Convolve a clip without unfolding it.

    On a CPU `conv3d` unfolds small inputs: 27 times their memory in one
    block, and ten times the time. That is prevented for float32. Large
    inputs go the same way as in `conv3d`.

    Args:
        x: (n, C, t, h, w).
        weight: (D, C, kt, kh, kw).
        bias: (D,) or None.
        padding: zeros at both ends.
        stride: steps.
    """
    if weight[0, 0].numel() > 1 and takes_onednn(x):
        return torch.mkldnn_convolution(
            x, weight, bias, padding, stride, (1, 1, 1), 1
        )
    return F.conv3d(x, weight, bias, stride, padding)


def prevent_unfolding(network: nn.Module) -> None:
    """Let the 3D convolutions of a network compute as `clip_conv`.

    Args:
        network: whose layers pad with zeros, and have neither groups nor
            dilation.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d):
            assert isinstance(layer.padding, tuple)
            assert layer.groups == 1 and set(layer.dilation) == {1}
            assert layer.padding_mode == 'zeros'
            layer._conv_forward = partial(  # type: ignore[method-assign]
                clip_conv, padding=layer.padding, stride=layer.stride
            )


def takes_onednn(x: Tensor) -> bool:
    """Return whether oneDNN computes with a tensor: numbers on a CPU."""
    kinds = Tensor, nn.Parameter  # none of a subclass, which only counts
    real = type(x) in kinds and x.device.type == 'cpu'
    known = real and x.dtype == torch.float32 and bool(x.numel())
    library = torch.backends.mkldnn
    return known and bool(library.enabled) and library.is_available()
