"""Optical flow by RAFT, Teed and Deng 2020, with torchvision's layers.

Frames are encoded once for all of their pairs, and only the last estimate is
enlarged; the values are torchvision's.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from star.evaluation.networks.raft_steps import (
    correlate,
    enlarge,
    list_places,
    look_up,
)
from star.evaluation.weights import fill, find_any, load_state
from star.utils import compat

# files trained on FlyingChairs and FlyingThings alone, the original's first;
# torchvision's first version of the large network is the original's
NETWORKS = {
    'small': ('raft-small.pth', 'raft_small_C_T_V2-01064c6d.pth'),
    'large': ('raft-things.pth', 'raft_large_C_T_V1-22a6c225.pth'),
}
_LARGEST_VOLUME = 2**28  # entries, 1 GiB
_LEAST = 128  # four levels of correlation, halved each, at an eighth
# (princeton-vl/RAFT, torchvision)
# (the original's names, torchvision's)
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
# the norm of a skip branch, which the original registers a second time
_ALIAS = re.compile(r'\.norm[34]\.')


@dataclass(frozen=True)
class Encoded:
    """What RAFT needs of frames, at an eighth of their size, (N, C, h, w).

    Args:
        features: what is correlated.
        hidden: state that the iterations begin with.
        context: what each iteration sees of the first frame.
    """

    features: Tensor
    hidden: Tensor
    context: Tensor


class RAFT(nn.Module):
    """Estimates the flow between frames.

    Args:
        network: 'small' (1.0 M parameters) or 'large' (5.3 M).
        weights: file of torchvision's or of the original repository
            (princeton-vl: raft-small.pth, raft-things.pth ...); None searches
            as `find_raft`.
        num_updates: iterations, >= 1; 20 as in the evaluation code that the
            warping error comes from.

    Raises:
        ValueError: unknown `network`, or a file that does not fit.
    """

    raft: Any  # torchvision's, for its parts

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
        state = to_torchvision(load_state(path))
        self.raft = _build(network)
        fill(self.raft, state, str(path))
        # a little faster on CPUs; the encoders are not
        self.raft.update_block.to(memory_format=torch.channels_last)
        self.requires_grad_(False).eval()

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Estimate where each pixel of a frame is in the other.

        Args:
            first: (N, 3, H, W) RGB in [0, 255], sides multiples of 8 and at
                least 128.
            second: likewise.

        Returns:
            Displacement in pixels, x first, (N, 2, H, W).

        Raises:
            ValueError: a size that the network cannot take.
        """
        return self._match(self.encode(first), self.encode(second).features)

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Encoded:
        """Compute what the network needs of frames, whatever their pairs.

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
        return Encoded(features, hidden.tanh(), context.relu())

    def both_ways(self, first: Encoded, second: Encoded) -> Tensor:
        """Estimate the flow between two frames, there and back.

        Args:
            first: of one frame.
            second: of the other.

        Returns:
            (2, 2, H, W), as `forward` gives it for first and second, and for
            second and first.
        """
        places = first.features[0, 0].numel()
        if places**2 > _LARGEST_VOLUME:  # of correlations: one at a time
            there = self._match(first, second.features)
            return torch.cat([there, self._match(second, first.features)])
        both = Encoded(
            torch.cat([first.features, second.features]),
            torch.cat([first.hidden, second.hidden]),
            torch.cat([first.context, second.context]),
        )
        return self._match(both, both.features.flip(0))

    @torch.no_grad()
    def _match(self, first: Encoded, others: Tensor) -> Tensor:
        """Refine the flow step by step, and enlarge only the last."""
        raft, radius = self.raft, self.raft.corr_block.radius
        pyramid = correlate(first.features, others, raft.corr_block.num_levels)
        hidden = first.hidden
        places = list_places(others)
        targets = places.expand(len(others), -1, -1, -1)
        for _ in range(self.num_updates):
            found = look_up(pyramid, targets, radius)
            hidden, change = raft.update_block(
                hidden, first.context, found, targets - places
            )
            targets = targets + change
        if raft.mask_predictor is None:
            return enlarge(targets - places)
        return enlarge(targets - places, raft.mask_predictor(hidden))


def check_size(height: int, width: int) -> None:
    """Refuse frames that the network cannot take.

    Raises:
        ValueError: naming the rule and the size.
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
        ValueError: naming it and those there are.
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
        weights: the file to take instead.
        weights_dir: folder that is searched first: for the original's file,
            then for torchvision's, which is downloaded where there is none.

    Raises:
        ValueError: an unknown network, or no weights.
    """
    check_network(network)
    return find_any(NETWORKS[network], weights, weights_dir)


def to_torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the original repository's tensors as torchvision does.

    Args:
        state: of either; torchvision's is returned as it is.
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
    with torch.random.fork_rng(devices=[]):  # it is overwritten
        return getattr(models, f'raft_{network}')(weights=None)
