"""SPyNet, Ranjan and Black 2017: optical flow from a pyramid of frames."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.warp import flow_warp

LEVELS = 6
_MULTIPLE = 2 ** (LEVELS - 1)
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class SPyNetLevel(nn.Module):
    """Corrects the flow at one level, with five convolutions.

    Its tensors are named as in the published files.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = [8, 32, 64, 32, 16, 2]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 7, padding=3), nn.ReLU()]
        self.basic_module = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Map two pictures and a flow, (N, 8, h, w), to (N, 2, h, w)."""
        return self.basic_module(x)


class SPyNet(nn.Module):
    """Estimates the optical flow between two frames.

    The flow stays in float32 for weights of any dtype: bfloat16 rounds a flow
    of 16 pixels to eighths of a pixel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        levels = [SPyNetLevel() for _ in range(LEVELS)]
        self.basic_module = nn.ModuleList(levels)
        self.register_buffer('mean', torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer('std', torch.tensor(_STD).view(1, 3, 1, 1))

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Estimate the flow from `x` to `other`.

        Args:
            x: (N, 3, h, w) RGB in [0, 1]. Sides that are no multiple of 32
                are stretched to the next one, and the flow is scaled back.
            other: of the same shape.

        Returns:
            (N, 2, h, w) float32, pixels to the right and down:
            `flow_warp(other, flow)` resembles `x`.
        """
        height, width = x.shape[-2:]
        size = [-(-side // _MULTIPLE) * _MULTIPLE for side in (height, width)]
        flow = self._flow(self._prepare(x, size), self._prepare(other, size))
        flow = _resize(flow, [height, width])
        shrunk = flow.new_tensor([width / size[1], height / size[0]])
        return flow * shrunk.view(1, 2, 1, 1)

    def _prepare(self, x: Tensor, size: list[int]) -> Tensor:
        return _resize((x - self.mean) / self.std, size)

    def _flow(self, x: Tensor, other: Tensor) -> Tensor:
        flow = x.new_zeros(
            (len(x), 2, *(side // _MULTIPLE for side in x.shape[-2:])),
            dtype=torch.float32,
        )
        pairs = list(zip(_pyramid(x), _pyramid(other), strict=True))
        for i, (level, (a, b)) in enumerate(
            zip(self.basic_module, reversed(pairs), strict=True)
        ):
            if i:
                flow = 2 * F.interpolate(
                    flow, scale_factor=2, mode='bilinear', align_corners=True
                )
            seen = [a, flow_warp(b, flow, 'border'), flow.to(a.dtype)]
            flow = flow + level(torch.cat(seen, dim=1))
        return flow


def _resize(x: Tensor, size: list[int]) -> Tensor:
    if list(x.shape[-2:]) == size:
        return x
    return F.interpolate(x, size=size, mode='bilinear', align_corners=False)


def _pyramid(x: Tensor) -> list[Tensor]:
    pictures = [x]
    for _ in range(LEVELS - 1):
        pictures.append(F.avg_pool2d(pictures[-1], 2))
    return pictures
