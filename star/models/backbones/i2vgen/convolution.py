"""Convolutions of the I2VGen-XL UNet, fast for small frames, too."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from star.models.layers.product import is_faster, product

# positions up to which a convolution is a matrix product, measured on AVX2
MAX_MATRIX_ROWS = 128  # and, for 3x3,
MATRIX_SHARE = 4  # of its output channels over this;
FAST_MATRIX_SHARE = 2  # where products are oneDNN's (AVX512)


class ProductConv(nn.Conv2d):
    """Convolution; one matrix product where its weights outweigh frames.

    On the CPU torch reorders the weights at every call. For few positions
    that costs more than the convolution, and as much memory as the weights;
    channels-last weights already are the matrix of the product.

    Args:
        in_dim: input channels.
        out_dim: output channels.
        kernel: rows and columns.
        stride: of both sides.
        padding: rows above and below, columns on the left and the right.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        kernel: tuple[int, int] = (3, 3),
        stride: int = 1,
        padding: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__(in_dim, out_dim, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """Transform frames, (B, C, H, W)."""
        if torch.is_grad_enabled() or not self._is_few(x):
            return super().forward(x)
        weight = self.weight
        if not weight.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x)
        (step, _), (rows, columns) = self.stride, self._sides
        pad = (0, 0, columns, columns, rows, rows)
        padded = F.pad(x.permute(0, 2, 3, 1), pad)
        height, width = self.kernel_size
        patches = rearrange(
            padded.unfold(1, height, step).unfold(2, width, step),
            'b h w c i j -> b h w (i j c)',
        )
        matrix = rearrange(weight, 'o c i j -> o (i j c)')
        return product(patches, matrix, self.bias).permute(0, 3, 1, 2)

    def _is_few(self, x: Tensor) -> bool:
        """Return whether frames are so few that a product is faster."""
        if x.device.type != 'cpu' or self.padding_mode != 'zeros':
            return False
        positions = len(x)
        lengths = zip(x.shape[2:], self._sides, self.kernel_size, strict=True)
        for side, pad, kernel in lengths:
            positions *= (side + 2 * pad - kernel) // self.stride[0] + 1
        if self.kernel_size != (3, 3):
            return positions <= MAX_MATRIX_ROWS
        share = FAST_MATRIX_SHARE if is_faster(x) else MATRIX_SHARE
        return positions <= max(MAX_MATRIX_ROWS, self.out_channels // share)

    @property
    def _sides(self) -> tuple[int, int]:
        assert not isinstance(self.padding, str)
        rows, columns = self.padding
        return rows, columns
