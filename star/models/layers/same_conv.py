"""A convolution whose numbers do not depend on the size of its input."""

import torch
from torch import Tensor
from torch.nn import functional as F


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
    real = type(x) is Tensor and x.device.type == 'cpu'  # not only counted
    known = real and x.dtype == torch.float32 and x.numel()
    library = torch.backends.mkldnn
    if known and library.enabled and library.is_available():
        return torch.mkldnn_convolution(
            x, weight, bias, (0, 0), (1, 1), (1, 1), groups
        )
    return F.conv2d(x, weight, bias, groups=groups)
