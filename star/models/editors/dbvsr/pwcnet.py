"""Optical flow by PWC-Net, Sun et al., CVPR 2018 (arXiv 1709.02371).

It builds a pyramid of features for each frame. At each level, the coarsest
first, it warps the second frame's features by the flow so far, correlates
them with the first frame's, and corrects the flow. Tensors are named as in
the published file `network-default.pytorch`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers.warp import flow_warp

Pyramid = list[Tensor]  # features at 1/4, 1/8, 1/16, 1/32 and 1/64

NAMES = ('One', 'Two', 'Thr', 'Fou', 'Fiv', 'Six')
WIDTHS = (16, 32, 64, 96, 128, 196)  # of features at 1/2, 1/4, ... 1/64
DENSE_WIDTHS = (128, 128, 96, 64, 32)  # of a level's convolutions
REFINER_WIDTHS = (128, 128, 128, 96, 64, 32)
DILATIONS = (1, 2, 4, 8, 16, 1, 1)
RADIUS = 4  # of displacements that are compared
MULTIPLE = 64  # of the sides that the pyramid takes
FLOW_UNIT = 20  # pixels of the frame in the network's unit


class PWCNet(nn.Module):
    """Estimates the optical flow between two frames.

    A frame is prepared once for all frames that it is compared with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moduleExtractor = _Extractor()
        for level in range(2, 7):
            decoder = _Decoder(level)
            self.add_module(f'module{NAMES[level - 1]}', decoder)
        self.moduleRefiner = _Refiner(_Decoder.out_width(2))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Estimate the flow from frames to frames.

        Args:
            first: (N, 3, h, w) RGB in [0, 1].
            second: of the same shape.

        Returns:
            (N, 2, h, w), pixels, to the right and down: where in `second`
            the pixels of `first` are.
        """
        height, width = first.shape[-2:]
        return self.flow(
            self.prepare(first), self.prepare(second), (height, width)
        )

    def prepare(self, frames: Tensor) -> Pyramid:
        """Extract features of frames, (N, 3, h, w) RGB in [0, 1]."""
        height, width = (
            -(-side // MULTIPLE) * MULTIPLE for side in frames.shape[-2:]
        )
        # convolutions on the CPU are up to twice as fast in this layout
        resized = _resize(frames, (height, width)).contiguous(
            memory_format=torch.channels_last
        )
        return self.moduleExtractor(resized)[1:]

    def flow(
        self, first: Pyramid, second: Pyramid, size: tuple[int, int]
    ) -> Tensor:
        """Estimate the flow between prepared frames.

        Args:
            first: the result of `prepare` for a frame.
            second: that of another frame.
            size: height and width of the frames.

        Returns:
            As for `forward`, float32 or finer.
        """
        coarse = self.quarter_flow(first, second)
        coarse = coarse.to(torch.promote_types(coarse.dtype, torch.float32))
        height, width = size
        ratios = coarse.new_tensor(
            [width / (4 * coarse.shape[-1]), height / (4 * coarse.shape[-2])]
        )
        flow = FLOW_UNIT * _resize(coarse, size)
        return flow * ratios.view(1, 2, 1, 1)

    def quarter_flow(self, first: Pyramid, second: Pyramid) -> Tensor:
        """Estimate (N, 2, H / 4, W / 4), in `FLOW_UNIT` at size (H, W)."""
        flow, features = None, None
        for level in range(6, 1, -1):
            decoder = self.get_submodule(f'module{NAMES[level - 1]}')
            flow, features = decoder(
                first[level - 2], second[level - 2], flow, features
            )
        return flow + self.moduleRefiner(features)


class _Extractor(nn.Module):
    """Makes features at 1/2, 1/4, ... 1/64 of the size."""

    def __init__(self) -> None:
        super().__init__()
        for name, inputs, width in zip(
            NAMES, (3, *WIDTHS[:-1]), WIDTHS, strict=True
        ):
            block = nn.Sequential(
                nn.Conv2d(inputs, width, 3, stride=2, padding=1),
                _activation(),
                nn.Conv2d(width, width, 3, padding=1),
                _activation(),
                nn.Conv2d(width, width, 3, padding=1),
                _activation(),
            )
            self.add_module(f'module{name}', block)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Extract features, the finest first."""
        pyramid = []
        for block in self.children():
            x = block(x)
            pyramid.append(x)
        return pyramid


class _Decoder(nn.Module):
    """Corrects the flow at one level, by densely joined convolutions.

    Args:
        level: 2 for 1/4 of the frame's size to 6 for 1/64, where there is no
            flow to begin with.
    """

    def __init__(self, level: int) -> None:
        super().__init__()
        if level < 6:
            wide = self.out_width(level + 1)
            self.moduleUpflow = nn.ConvTranspose2d(2, 2, 4, 2, 1)
            self.moduleUpfeat = nn.ConvTranspose2d(wide, 2, 4, 2, 1)
            # flow in pixels of this level
            self.pixels = FLOW_UNIT / 2**level
        width = self.in_width(level)
        for name, grown in zip(NAMES, DENSE_WIDTHS, strict=False):
            block = nn.Sequential(
                nn.Conv2d(width, grown, 3, padding=1), _activation()
            )
            self.add_module(f'module{name}', block)
            width += grown
        self.moduleSix = nn.Sequential(nn.Conv2d(width, 2, 3, padding=1))

    @staticmethod
    def in_width(level: int) -> int:
        """Count the input channels of a level's convolutions."""
        compared = (2 * RADIUS + 1) ** 2
        return compared + (WIDTHS[level - 1] + 4 if level < 6 else 0)

    @staticmethod
    def out_width(level: int) -> int:
        """Count the channels of a level's features."""
        return _Decoder.in_width(level) + sum(DENSE_WIDTHS)

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        flow: Tensor | None,
        features: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Estimate flow and features at this level.

        Args:
            first: features of the first frame, (N, C, h, w).
            second: features of the second.
            flow: from the level below, (N, 2, h / 2, w / 2); None at level 6.
            features: from the level below; None at level 6.
        """
        if flow is None or features is None:
            x = F.leaky_relu(correlate(first, second), 0.1)
        else:
            flow = self.moduleUpflow(flow)
            moved = warp_inside(second, flow * self.pixels)
            volume = F.leaky_relu(correlate(first, moved), 0.1)
            rest = [first, flow, self.moduleUpfeat(features)]
            x = torch.cat([volume, *rest], 1)
        x = x.contiguous(memory_format=torch.channels_last)
        for name in NAMES[:5]:
            block = self.get_submodule(f'module{name}')
            x = torch.cat([block(x), x], 1)
        return self.moduleSix(x), x


class _Refiner(nn.Module):
    """Corrects the last flow by dilated convolutions of a wide view.

    Args:
        width: channels of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for grown, dilation in zip(
            (*REFINER_WIDTHS, 2), DILATIONS, strict=True
        ):
            layers += [
                nn.Conv2d(
                    width, grown, 3, padding=dilation, dilation=dilation
                ),
                _activation(),
            ]
            width = grown
        self.moduleMain = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Compute the correction of the flow."""
        return self.moduleMain(x)


def correlate(first: Tensor, second: Tensor, radius: int = RADIUS) -> Tensor:
    """Correlate each position with its neighbourhood in another picture.

    Args:
        first: (N, C, h, w).
        second: of the same shape; outside it is 0.
        radius: greatest displacement, >= 0.

    Returns:
        (N, (2 radius + 1)^2, h, w): mean product over the channels, for
        displacements row by row from the upper left.
    """
    height, width = first.shape[-2:]
    side = 2 * radius + 1
    padded = F.pad(second, [radius] * 4)
    # one displacement at a time: 81 shifted copies at once would take
    # gigabytes at a frame's full size
    volume = first.new_empty(len(first), side**2, height, width)
    for i in range(side**2):
        top, left = divmod(i, side)
        moved = padded[..., top : top + height, left : left + width]
        volume[:, i] = (first * moved).mean(1)
    return volume


def warp_inside(x: Tensor, flow: Tensor, padding: str = 'zeros') -> Tensor:
    """Warp a picture along a flow, with zeros outside.

    Args:
        x: (N, C, h, w).
        flow: (N, 2, h, w), see `flow_warp`.
        padding: see `flow_warp`; it matters only within a thousandth of a
            pixel outside.

    Returns:
        (N, C, h, w).
    """
    inside = coverage(flow) > 0.999
    return flow_warp(x, flow, padding) * inside


def coverage(flow: Tensor) -> Tensor:
    """Compute which share of each warped pixel comes from inside the picture.

    It equals bilinear sampling of ones with zeros outside. Without scaling
    positions to [-1, 1] and back it is exact enough for a threshold to decide
    as in float64.

    Args:
        flow: (N, 2, h, w), pixels.

    Returns:
        (N, 1, h, w) in [0, 1], float32 or finer.
    """
    height, width = flow.shape[-2:]
    flow = flow.to(torch.promote_types(flow.dtype, torch.float32))
    rows = torch.arange(height, device=flow.device)[:, None] + flow[:, 1]
    columns = torch.arange(width, device=flow.device) + flow[:, 0]
    of_row = torch.minimum(rows + 1, height - rows).clamp(0, 1)
    of_column = torch.minimum(columns + 1, width - columns).clamp(0, 1)
    return (of_row * of_column).unsqueeze(1)


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode='bilinear', align_corners=False)


def _activation() -> nn.Module:
    return nn.LeakyReLU(0.1, inplace=True)
