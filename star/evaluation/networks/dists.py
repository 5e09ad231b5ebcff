"""DISTS, Ding et al. 2020: texture and structure of VGG16's features.

Feature maps are compared by their means (texture) and their covariances
(structure), each channel with its own weight.
"""

import re
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.evaluation.weight_files import FILES
from star.perceptual.lpips import TRUNKS, at_stride, tiles
from star.perceptual.trunks import vgg
from star.perceptual.weight_files import FILES as TRUNK_FILES
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state
from star.utils.weight_files import choose_file, find_file

# of the channels, as pyiqa names the authors' file
CHANNEL_WEIGHTS = 'DISTS_weights-f5e65c96.pth'
_TAPS = (3, 8, 15, 22, 29)  # layers whose output is compared
_STRIDES = (1, 1, 2, 4, 8, 16)  # of the image and of these layers
_WIDTHS = (3, 64, 128, 256, 512, 512)
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_C1 = _C2 = 1e-6
_SIDE = 1024  # larger frames are compared in tiles, which take 1.8 GB
_CHANNELS = 16  # that are summed at once, in double precision


class DISTSNetwork(nn.Module):
    """Compares two images by the statistics of their features."""

    def __init__(self) -> None:
        super().__init__()
        layers = list(vgg())[: _TAPS[-1] + 1]
        self.features = nn.Sequential(
            *(
                _L2Pool() if isinstance(layer, nn.MaxPool2d) else layer
                for layer in layers
            )
        )
        self.alpha = nn.Parameter(torch.zeros(1, sum(_WIDTHS), 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, sum(_WIDTHS), 1, 1))

    def forward(
        self, pred: Tensor, gt: Tensor, side: int | None = None
    ) -> Tensor:
        """Compute the distance of each pair of images.

        Args:
            pred: (N, 3, H, W) RGB in [0, 1].
            gt: the same.
            side: of tiles, a multiple of 16 above 256; None for one that
                bounds the memory. The distance is the same.

        Returns:
            (N,) float64; 0 for equal images.
        """
        alpha, beta = self.alpha.double(), self.beta.double()
        total = alpha.sum() + beta.sum()
        moments = self.moments(pred, gt, side)
        texture, structure = _similarities(torch.cat(moments, -1))
        alpha, beta = alpha.flatten() / total, beta.flatten() / total
        return (1 - texture) @ alpha + (1 - structure) @ beta

    def moments(
        self, pred: Tensor, gt: Tensor, side: int | None = None
    ) -> list[Tensor]:
        """Average features, their squares and their products over pixels.

        Args:
            pred: as for `forward`.
            gt: as for `forward`.
            side: as for `forward`.

        Returns:
            For the image and each compared layer (5, N, C) float64: means of
            x, y, x^2, y^2 and xy, where x is of `pred` and y of `gt`.
        """
        height, width = pred.shape[-2:]
        if side is None:
            large = height * width > _SIDE**2
            side = _SIDE if large else 16 * (max(height, width) + 256)
        sums: list[Tensor | float] = [0.0] * len(_STRIDES)
        counts = [0] * len(_STRIDES)
        for (rows, keep_rows), (columns, keep_columns) in product(
            tiles(height, side), tiles(width, side)
        ):
            pair = torch.cat([x[..., rows, columns] for x in (pred, gt)])
            for i, x in enumerate(self.maps(pair)):
                x = x[:, :, at_stride(keep_rows, _STRIDES[i])]
                x = x[..., at_stride(keep_columns, _STRIDES[i])]
                sums[i] = sums[i] + _sums(x)
                counts[i] += x[0, 0].numel()
        return [
            torch.as_tensor(total) / count
            for total, count in zip(sums, counts, strict=True)
        ]

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return images, (N, 3, H, W) in [0, 1], and their features."""
        mean, std = (images.new_tensor(v).view(3, 1, 1) for v in (_MEAN, _STD))
        x = (images - mean) / std
        found = [images]
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _TAPS:
                found.append(x)
        return found


def load_dists(
    weights: str | Path | None = None, weights_dir: str | Path | None = None
) -> tuple[DISTSNetwork, list[Path]]:
    """Build the network with its weights.

    Args:
        weights: file with the state dict of the authors' network; or of
            torchvision's VGG16, for which the published weights of channels
            are found. None finds both.
        weights_dir: folder that is searched first for published files.

    Returns:
        The network in evaluation mode, whose parameters take no gradients;
        and the files that it comes from.

    Raises:
        ValueError: weights are missing, damaged or do not fit.
    """
    path = choose_file([TRUNK_FILES[TRUNKS['vgg']]], weights, weights_dir)
    state, files = _rename(read_state(path)), [path]
    if 'alpha' not in state:
        files.append(find_file([FILES[CHANNEL_WEIGHTS]], weights_dir))
        state |= read_state(files[1])
    with torch.device('meta'):  # initial values are not needed
        network = DISTSNetwork()
    load_strict(network, state, path)
    return network.requires_grad_(False).eval(), files


class _L2Pool(nn.Module):
    """Halve by the root of the mean square under a Hann window."""

    def forward(self, x: Tensor) -> Tensor:
        edge = x.new_tensor([0.25, 0.5, 0.25])
        window = edge[:, None] * edge
        window = window.expand(x.shape[1], 1, 3, 3)
        mean = F.conv2d(x**2, window, stride=2, padding=1, groups=x.shape[1])
        return (mean + 1e-12).sqrt()


def _sums(maps: Tensor) -> Tensor:
    """Sum over pixels, (2 N, C, h, w) to (5, N, C)."""
    parts = []
    for part in maps.flatten(2).split(_CHANNELS, 1):
        x, y = part.double().chunk(2)
        found = [t.sum(-1) for t in (x, y, x * x, y * y, x * y)]
        parts.append(torch.stack(found))
    return torch.cat(parts, -1)


def _similarities(moments: Tensor) -> tuple[Tensor, Tensor]:
    """Compute texture and structure, (N, C) each, from (5, N, C)."""
    x, y, xx, yy, xy = moments
    texture = (2 * x * y + _C1) / (x**2 + y**2 + _C1)
    variances = (xx - x**2) + (yy - y**2)
    structure = (2 * (xy - x * y) + _C2) / (variances + _C2)
    return texture, structure


def _rename(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors of the authors' file, or of torchvision's VGG16."""
    found = {}
    for name, tensor in state.items():
        name = re.sub(r'^stage\d\.', 'features.', name)
        dropped = name.endswith('.filter') or name in ('mean', 'std')
        if not dropped and not name.startswith('classifier.'):
            found[name] = tensor
    return found
