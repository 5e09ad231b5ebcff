"""The networks of LPIPS 0.1, Zhang et al. 2018: a trunk and linear heads.

The tensors of the trunks have the names of torchvision's files, which load
without conversion. Neither torchvision nor the package lpips is needed.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from star.perceptual.trunks import BUILDERS
from star.perceptual.weight_files import FILES
from star.utils.checks import check_choice
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state
from star.utils.weight_files import (
    check_folder,
    choose_file,
    find_file,
    find_local,
)

# file of the trunk, as torchvision publishes it
TRUNKS = {
    'alex': 'alexnet-owt-7be5be79.pth',
    'vgg': 'vgg16-397923af.pth',
    'squeeze': 'squeezenet1_1-b8a52dc0.pth',
}
# layers whose output is compared
_TAPS = {
    'alex': (1, 4, 7, 9, 11),
    'vgg': (3, 8, 15, 22, 29),
    'squeeze': (1, 4, 7, 9, 10, 11, 12),
}
_WIDTHS = {
    'alex': (64, 192, 384, 256, 256),
    'vgg': (64, 128, 256, 512, 512),
    'squeeze': (64, 128, 256, 384, 384, 512, 512),
}
_STRIDES = {
    'alex': (4, 8, 16, 16, 16),
    'vgg': (1, 2, 4, 8, 16),
    'squeeze': (2, 4, 8, 16, 16, 16, 16),
}
# frames of more than SIDE**2 pixels are compared in tiles of that side, so
# that a tile takes less than 2 GB
_SIDES = {'alex': 4096, 'vgg': 1024, 'squeeze': 2048}
_MARGIN = 128  # exceeds the reach of every layer; multiple of 16
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
_EPSILON = 1e-10


class LPIPSNetwork(nn.Module):
    """Compares two images by the features of a trained classifier.

    Args:
        net: trunk, 'alex', 'vgg' or 'squeeze'.

    Raises:
        ValueError: unknown `net`.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, net: str) -> None:
        super().__init__()
        check_net(net)
        self.net = net
        layers = BUILDERS[net]()
        self.features = nn.Sequential(*list(layers)[: _TAPS[net][-1] + 1])
        self.heads = nn.ParameterList(
            torch.zeros(1, width, 1, 1) for width in _WIDTHS[net]
        )
        for name, values in (('shift', _SHIFT), ('scale', _SCALE)):
            buffer = torch.tensor(values).view(1, 3, 1, 1)
            self.register_buffer(name, buffer, persistent=False)

    def forward(self, pred: Tensor, gt: Tensor) -> Tensor:
        """Compute the distance of each pair of images.

        Args:
            pred: (N, 3, H, W) RGB in [-1, 1].
            gt: the same.

        Returns:
            (N,); 0 for equal images.
        """
        pairs = torch.cat([pred, gt])
        side = _SIDES[self.net]
        if pairs[0, 0].numel() <= side**2:
            maps = self.maps(pairs)
            return torch.stack([x.mean((1, 2)) for x in maps]).sum(0)
        return self.tiled(pairs, side)

    def tiled(self, pairs: Tensor, side: int) -> Tensor:
        """Compute the same distance tile by tile.

        Args:
            pairs: as for `maps`.
            side: of a tile, a multiple of 16 above 256.
        """
        sums = pairs.new_zeros(len(pairs) // 2, dtype=torch.float64)
        totals = [sums.clone() for _ in self.heads]
        counts = [0] * len(totals)
        for rows, keep_rows in tiles(pairs.shape[-2], side):
            for columns, keep_columns in tiles(pairs.shape[-1], side):
                maps = self.maps(pairs[..., rows, columns])
                for i, stride in enumerate(_STRIDES[self.net]):
                    kept = maps[i][:, at_stride(keep_rows, stride)]
                    kept = kept[:, :, at_stride(keep_columns, stride)]
                    totals[i] += kept.double().sum((1, 2))
                    counts[i] += kept[0].numel()
        for total, count in zip(totals, counts, strict=True):
            sums += total / count
        return sums

    def maps(self, pairs: Tensor) -> list[Tensor]:
        """Compute the distance at each position of each compared layer.

        Args:
            pairs: N images, then the N images they are compared with, (2 N,
                3, H, W) RGB in [-1, 1].

        Returns:
            One (N, h, w) for each compared layer.
        """
        x = (pairs - self.shift) / self.scale
        found: list[Tensor] = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _TAPS[self.net]:
                found.append(_distance(x, self.heads[len(found)]))
        return found


def check_net(net: str) -> None:
    """Refuse an unknown trunk.

    Raises:
        ValueError: `net` is none of `TRUNKS`.
    """
    check_choice('net', net, TRUNKS)


def load_lpips(
    weights: str | Path | None = None,
    net: str = 'alex',
    weights_dir: str | Path | None = None,
) -> LPIPSNetwork:
    """Build the network with its weights.

    Args:
        weights: as for `read_lpips`.
        net: as for `read_lpips`.
        weights_dir: as for `read_lpips`.

    Returns:
        The network in evaluation mode; its parameters take no gradients.

    Raises:
        ValueError: as for `read_lpips`, or the files do not fit.
    """
    state, files = read_lpips(weights, net, weights_dir)
    return build_lpips(state, net, str(files[0]))


def build_lpips(state: dict[str, Tensor], net: str, path: str) -> LPIPSNetwork:
    """Build the network from a state dict.

    Args:
        state: from `read_lpips`.
        net: as for `LPIPSNetwork`.
        path: where the state comes from, for the message.

    Raises:
        ValueError: `net` is unknown, or the state does not fit.
    """
    with torch.random.fork_rng(devices=[]):  # its values are overwritten
        network = LPIPSNetwork(net)
    load_strict(network, state, path)
    # 1.4 to 3 times as fast on CPUs
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.requires_grad_(False).eval()


def read_lpips(
    weights: str | Path | None = None,
    net: str = 'alex',
    weights_dir: str | Path | None = None,
) -> tuple[dict[str, Tensor], list[Path]]:
    """Read trunk and heads, from one file or two.

    Args:
        weights: file with the state dict of the lpips package, trunk and
            heads; or of torchvision's classifier, for which the published
            heads are found. None finds the published trunk and heads.
        net: 'alex', 'vgg' or 'squeeze'.
        weights_dir: folder that is searched first for published files.

    Returns:
        The state dict for `LPIPSNetwork`, and the files it comes from.

    Raises:
        ValueError: `net` is unknown, or weights are missing or damaged.
    """
    check_net(net)
    named = _whole(net, weights_dir) if weights is None else weights
    path = choose_file([FILES[TRUNKS[net]]], named, weights_dir)
    state, files = rename(read_state(path), net), [path]
    if not any(name.startswith('heads.') for name in state):
        files.append(find_file([FILES[f'lpips_{net}.pth']], weights_dir))
        state |= rename(read_state(files[1]), net)
    return state, files


def rename(state: dict[str, Tensor], net: str) -> dict[str, Tensor]:
    """Rename a published state dict's tensors to those of `LPIPSNetwork`.

    Args:
        state: of the lpips package's network or heads, or of torchvision's
            classifier.
        net: trunk; layers after the last compared one are dropped.
    """
    rules = [
        (r'^net\.slice\d+\.', 'features.'),
        # the package has each head twice, as a module and in a list
        (r'^lin(?:s\.)?(\d+)\.model\.1\.weight$', r'heads.\1'),
    ]
    last, found = _TAPS[net][-1], {}
    for name, tensor in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        layer = re.match(r'features\.(\d+)\.', name)
        behind = name.startswith('classifier.') or (
            layer is not None and int(layer[1]) > last
        )
        if not behind and not name.startswith('scaling_layer.'):
            found[name] = tensor
    return found


def _whole(net: str, weights_dir: str | Path | None) -> Path | None:
    """Find a file with trunk and heads, which only 'squeeze' has."""
    if net != 'squeeze':
        return None
    folder = check_folder(weights_dir)
    return find_local(FILES['lpips_squeeze.safetensors'], folder)


def _distance(features: Tensor, head: Tensor) -> Tensor:
    """Weight the squared differences of unit vectors, (2 N, C, h, w)."""
    x = features.permute(0, 2, 3, 1)  # channels are contiguous in memory
    norms = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    first, second = (x / (norms + _EPSILON)).chunk(2)
    difference = first - second
    return difference.square_() @ head.flatten()


def tiles(length: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Split a side of a frame into tiles with margins.

    Args:
        length: of the side.
        side: of a tile, a multiple of 16 above 256.

    Yields:
        The pixels of a tile with its margins; and the pixels of it that
        count, from the tile's own start. The last tile counts to its end.
    """
    core = side - 2 * _MARGIN
    for begin in range(0, length, core):
        start, end = max(0, begin - _MARGIN), begin + core
        last = end >= length
        kept = slice(begin - start, None if last else end - start)
        yield slice(start, min(length, end + _MARGIN)), kept


def at_stride(pixels: slice, stride: int) -> slice:
    """Convert pixels, multiples of 16, to positions of a layer.

    Args:
        pixels: of a tile, from `tiles`.
        stride: pixels from one position to the next, a divisor of 16.
    """
    stop = None if pixels.stop is None else pixels.stop // stride
    return slice(pixels.start // stride, stop)
