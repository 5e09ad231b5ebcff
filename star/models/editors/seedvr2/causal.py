"""Layers of SeedVR2's autoencoder, which remember the slice before."""

from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.same_conv import clip_conv

# the last frames that each convolution saw; empty before the first slice
Memory = dict[nn.Module, Tensor]
EPS = 1e-6  # of the norms


class Shape(NamedTuple):
    """Kernel and stride of a convolution: time, and both sides of a frame."""

    time: int = 3
    side: int = 3
    time_stride: int = 1
    side_stride: int = 1


_CUBE = Shape()


class CausalConv3d(nn.Conv3d):
    """Convolution that looks back in time only.

    Before the first frame it sees this frame again, not zeros.

    Args:
        inputs: channels.
        outputs: channels.
        shape: of kernel and stride; with a stride in space, frames are
            padded at the bottom and on the right only.
    """

    def __init__(
        self, inputs: int, outputs: int, shape: Shape = _CUBE
    ) -> None:
        margin = shape.side // 2 if shape.side_stride == 1 else 0
        super().__init__(
            inputs,
            outputs,
            (shape.time, shape.side, shape.side),
            (shape.time_stride, shape.side_stride, shape.side_stride),
            (0, margin, margin),
        )

    def forward(
        self,
        x: Tensor,
        memory: Memory | None = None,
        norm: nn.Module | None = None,
    ) -> Tensor:
        """Convolve a slice of a clip.

        Args:
            x: (1, C, T, H, W).
            memory: of the slice before; changed in place. None for a whole
                clip.
            norm: if given, each frame is normalised by it and passed through
                a SiLU before.
        """
        memory = {} if memory is None else memory
        if self.stride[1] > 1:
            x = F.pad(x, (0, 1, 0, 1))
        if self.kernel_size[0] > 1:
            x = self._extend(x, memory, norm)
        assert isinstance(self.padding, tuple)
        return clip_conv(x, self.weight, self.bias, self.padding, self.stride)

    def _extend(
        self, x: Tensor, memory: Memory, norm: nn.Module | None
    ) -> Tensor:
        """Put the frames before a slice in front of it."""
        head = memory.get(self)
        back = self.kernel_size[0] - 1 if head is None else head.shape[2]
        _, channels, length, height, width = x.shape
        out = x.new_empty(1, channels, back + length, height, width)
        for i in range(length):  # frame by frame, which takes less memory
            frame = x[:, :, i]
            if norm is not None:
                frame = F.silu(norm(frame), inplace=True)
            out[:, :, back + i] = frame
        out[:, :, :back] = out[:, :, back, None] if head is None else head
        kept = self.kernel_size[0] - self.stride[0]
        memory[self] = out[:, :, -kept:].clone()
        return out


class ResnetBlock(nn.Module):
    """Residual block; its group norms see one frame each.

    Args:
        inputs: channels.
        outputs: channels.
        groups: of the norms.
    """

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inputs, EPS)
        self.conv1 = CausalConv3d(inputs, outputs)
        self.norm2 = nn.GroupNorm(groups, outputs, EPS)
        self.conv2 = CausalConv3d(outputs, outputs)
        self.conv_shortcut = (
            CausalConv3d(inputs, outputs, Shape(1, 1))
            if inputs != outputs
            else None
        )

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """Pass a slice, (1, C, T, H, W)."""
        h = self.conv1(x, memory, self.norm1)
        h = self.conv2(h, memory, self.norm2)
        if self.conv_shortcut is not None:
            x = self.conv_shortcut(x)
        return h.add_(x)


class FrameAttention(nn.Module):
    """Attention within each frame, with one head and a residual.

    Args:
        dim: channels.
        groups: of the norm.
    """

    def __init__(self, dim: int, groups: int) -> None:
        super().__init__()
        self.group_norm = nn.GroupNorm(groups, dim, EPS)
        self.to_q, self.to_k, self.to_v = (
            nn.Linear(dim, dim) for _ in range(3)
        )
        self.to_out = nn.ModuleList([nn.Linear(dim, dim)])


class Downsampler(nn.Module):
    """Halves the sides of frames, and maybe their number.

    Args:
        dim: channels.
        in_time: whether it halves time.
    """

    def __init__(self, dim: int, in_time: bool) -> None:
        super().__init__()
        shape = Shape(3, 3, 2, 2) if in_time else Shape(1, 3, 1, 2)
        self.conv = CausalConv3d(dim, dim, shape)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """Shrink a slice, (1, C, T, H, W)."""
        return self.conv(x, memory)


class Upsampler(nn.Module):
    """Doubles the sides of frames, and maybe their number.

    Of the clip's first frame there is only one after it.

    Args:
        dim: channels.
        in_time: whether it doubles time.
    """

    def __init__(self, dim: int, in_time: bool) -> None:
        super().__init__()
        self.times = 2 if in_time else 1
        self.conv = CausalConv3d(dim, dim)
        self.upscale_conv = nn.Conv3d(dim, 4 * self.times * dim, 1)

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """Enlarge a slice, (1, C, T, H, W)."""
        x = rearrange(
            self.upscale_conv(x),
            'n (a b r c) t h w -> n c (t r) (h a) (w b)',
            a=2,
            b=2,
            r=self.times,
        )
        if self.times > 1 and self.conv not in memory:
            x = torch.cat([x[:, :, :1], x[:, :, 2:]], 2)
        return self.conv(x, memory)
