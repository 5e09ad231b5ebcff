"""Optical flow by RAFT, Teed and Deng 2020, with torchvision's layers.

Frames are encoded once for all of their pairs, and only the last flow is
upsampled; the values equal torchvision's.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from star.evaluation.weight_files import FILES
from star.perceptual.raft import (
    LEAST_SIDE,
    RAFTFeatures,
    build_raft,
    encode_frames,
    match_frames,
    to_torchvision,
)
from star.utils.checks import check_least
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
        check_least('num_updates', num_updates, 1)
        self.num_updates = num_updates
        path = find_raft(network, weights)
        state = to_torchvision(read_state(path))
        self.raft = build_raft(network)
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
        return encode_frames(self.raft, x)

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
        return match_frames(self.raft, first, others, self.num_updates)


def check_size(height: int, width: int) -> None:
    """Refuse frames that the network cannot take.

    Raises:
        ValueError: a side is too small, or no multiple of 8.
    """
    if min(height, width) < LEAST_SIDE or height % 8 or width % 8:
        raise ValueError(
            'frames must have sides that are multiples of '
            f'8 and at least {LEAST_SIDE} for RAFT (twice that where frames '
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
