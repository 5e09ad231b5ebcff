"""Optical flow by RAFT, Teed and Deng 2020, with torchvision's layers.

Frames are encoded once for all of their pairs, and only the last flow is
upsampled; the values equal torchvision's.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from star.evaluation.networks.raft_steps import (
    correlate,
    look_up,
    pixel_grid,
    upsample_flow,
)
from star.evaluation.weight_files import FILES
from star.utils import compat
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state
from star.utils.weight_files import choose_file

# files trained on FlyingChairs and FlyingThings alone, the original's first;
# torchvision ported the first version of the large network from it
NETWORKS = {
    'small': ('raft-small.pth', 'raft_small_C_T_V2-01064c6d.pth'),
    'large': ('raft-things.pth', 'raft_large_C_T_V1-22a6c225.pth'),
}
_LARGEST_VOLUME = 2**28  # entries, 1 GiB
_LEAST = 128  # four levels of correlation, halved each, at an eighth
# names of tensors: (princeton-vl/RAFT, torchvision)
_RULES = [
    (r'^module\.', ''),
    (r'^fnet\.', 'feature_encoder.'),
    (r'^cnet\.', 'context_encoder.'),
    (r'(_encoder)\.conv2\.', r'\1.conv.'),
    (r'(_encoder)\.conv1\.', r'\1.convnormrelu.0.'),
    (r'(_encoder)\.norm1\.', r'\1.convnormrelu.1.'),
    (r'(layer\d\.\d)\.conv(\d)\.', r'\1.convnormrelu\2.0.'),
    (r'(layer\d\.\d)\.norm(\d)\.', r'\1.convnormrelu\2.1.'),
    (r'\.encoder\.convc(\d)\.', r'.motion_encoder.convcorr\1.0.'),
    (r'\.encoder\.convf(\d)\.', r'.motion_encoder.convflow\1.0.'),
    (r'\.encoder\.conv\.', '.motion_encoder.conv.0.'),
    (r'\.gru\.conv([zrq])1?\.', r'.recurrent_block.convgru1.conv\1.'),
    (r'\.gru\.conv([zrq])2\.', r'.recurrent_block.convgru2.conv\1.'),
    (r'^update_block\.mask\.0\.', 'mask_predictor.convrelu.0.'),
    (r'^update_block\.mask\.2\.', 'mask_predictor.conv.'),
]
# the norm of a skip branch, which the original registers twice
_ALIAS = re.compile(r'\.norm[34]\.')


@dataclass(frozen=True)
class RAFTFeatures:
    """Features of frames at an eighth of their size, (N, C, h, w).

    Args:
        features: to be correlated.
        hidden: initial state of the iterations.
        context: input of every iteration.
    """

    features: Tensor
    hidden: Tensor
    context: Tensor


class RAFT(nn.Module):
    """Estimates the flow between frames.

    Args:
        network: 'small' (1.0 M parameters) or 'large' (5.3 M).
        weights: file of torchvision's or of the original repository
            (princeton-vl: raft-small.pth, raft-things.pth ...); None calls
            `find_raft`.
        num_updates: iterations, >= 1; 20 as in EvalCrafter's code.

    Raises:
        ValueError: unknown `network`, or a file that does not fit.
    """

    raft: Any  # torchvision's network, for its parts

    def __init__(
        self,
        network: str = 'small',
        weights: str | None = None,
        num_updates: int = 20,
    ) -> None:
        super().__init__()
        check_network(network)
        if num_updates < 1:
            raise ValueError(
                f'`num_updates` must be at least 1, got {num_updates}'
            )
        self.num_updates = num_updates
        path = find_raft(network, weights)
        state = to_torchvision(read_state(path))
        self.raft = _build(network)
        load_strict(self.raft, state, str(path))
        # a little faster on CPUs, unlike for the encoders
        self.raft.update_block.to(memory_format=torch.channels_last)
        self.requires_grad_(False).eval()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Estimate the flow from one frame to another.

        Args:
            first: (N, 3, H, W) RGB in [0, 255], sides multiples of 8 and at
                least 128.
            second: of the same shape.

        Returns:
            Displacement in pixels, x first, (N, 2, H, W).

        Raises:
            ValueError: the network cannot take frames of this size.
        """
        return self._match(self.encode(first), self.encode(second).features)

    @torch.no_grad()
    def encode(self, frames: Tensor) -> RAFTFeatures:
        """Compute the features of frames, once for all of their pairs.

        Args:
            frames: as `first` of `forward`.

        Raises:
            ValueError: as for `forward`.
        """
        check_size(*frames.shape[-2:])
        device = next(self.parameters()).device
        x = frames.to(device).float() / 127.5 - 1
        features = self.raft.feature_encoder(x)
        size = self.raft.update_block.hidden_state_size
        hidden, context = self.raft.context_encoder(x).tensor_split([size], 1)
        return RAFTFeatures(features, hidden.tanh(), context.relu())

    def both_ways(self, first: RAFTFeatures, second: RAFTFeatures) -> Tensor:
        """Estimate the flow between two frames in both directions.

        Args:
            first: features of one frame.
            second: features of the other.

        Returns:
            (2, 2, H, W) in pixels: from first to second, from second to
            first.
        """
        positions = first.features[0, 0].numel()
        if positions**2 > _LARGEST_VOLUME:  # one direction at a time
            there = self._match(first, second.features)
            return torch.cat([there, self._match(second, first.features)])
        both = RAFTFeatures(
            torch.cat([first.features, second.features]),
            torch.cat([first.hidden, second.hidden]),
            torch.cat([first.context, second.context]),
        )
        return self._match(both, both.features.flip(0))

    @torch.no_grad()
    def _match(self, first: RAFTFeatures, others: Tensor) -> Tensor:
        """Refine the flow step by step; upsample only the last."""
        raft, radius = self.raft, self.raft.corr_block.radius
        pyramid = correlate(first.features, others, raft.corr_block.num_levels)
        hidden = first.hidden
        grid = pixel_grid(others)
        targets = grid.expand(len(others), -1, -1, -1)
        for _ in range(self.num_updates):
            found = look_up(pyramid, targets, radius)
            hidden, change = raft.update_block(
                hidden, first.context, found, targets - grid
            )
            targets = targets + change
        if raft.mask_predictor is None:
            return upsample_flow(targets - grid)
        return upsample_flow(targets - grid, raft.mask_predictor(hidden))


def check_size(height: int, width: int) -> None:
    """Refuse frames that the network cannot take.

    Raises:
        ValueError: a side is too small, or no multiple of 8.
    """
    if min(height, width) < _LEAST or height % 8 or width % 8:
        raise ValueError(
            'frames must have sides that are multiples of '
            f'8 and at least {_LEAST} for RAFT (twice that where frames '
            f'are halved first), got {height}x{width}'
        )


def check_network(network: str) -> None:
    """Refuse an unknown network.

    Raises:
        ValueError: `network` is neither 'small' nor 'large'.
    """
    if network not in NETWORKS:
        raise ValueError(
            f"`network` must be 'small' or 'large', got {network!r}"
        )


def find_raft(
    network: str,
    weights: str | Path | None = None,
    weights_dir: str | Path | None = None,
) -> Path:
    """Find weights trained on FlyingChairs and FlyingThings.

    Args:
        network: 'small' or 'large'.
        weights: the file to take instead of searching.
        weights_dir: folder that is searched first, for the original's file
            and then for torchvision's. The latter is downloaded if neither is
            found.

    Raises:
        ValueError: unknown `network`, or weights that cannot be found.
    """
    check_network(network)
    files = [FILES[name] for name in NETWORKS[network]]
    return choose_file(files, weights, weights_dir)


def to_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the original repository to torchvision's names.

    Args:
        state: of either; one with torchvision's names is returned unchanged.
    """
    if any(name.startswith('feature_encoder.') for name in state):
        return state
    return {
        _rename(name): tensor
        for name, tensor in state.items()
        if not _ALIAS.search(name)
    }


def _rename(name: str) -> str:
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name


def _build(network: str) -> nn.Module:
    compat.allow_missing_torchvision_operators()
    models = compat.require('torchvision.models.optical_flow', 'metrics')
    with torch.random.fork_rng(devices=[]):  # initial values are not used
        return getattr(models, f'raft_{network}')(weights=None)
