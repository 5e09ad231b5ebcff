"""RAFT, Teed and Deng 2020, with torchvision's layers.

Frames are encoded once for all of their pairs, and only the last flow is
upsampled; the values equal torchvision's.
"""

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from star.perceptual.raft_steps import (
    correlate,
    look_up,
    pixel_grid,
    upsample_flow,
)
from star.utils import compat

LEAST_SIDE = 128  # four levels of correlation, halved each, at an eighth
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


def encode_frames(raft: Any, x: Tensor) -> RAFTFeatures:
    """Compute the features of frames, once for all of their pairs.

    Args:
        raft: torchvision's network.
        x: (N, 3, H, W) RGB in [-1, 1], sides multiples of 8 and at least
            `LEAST_SIDE`; of the network's dtype.
    """
    features = raft.feature_encoder(x)
    size = raft.update_block.hidden_state_size
    hidden, context = raft.context_encoder(x).tensor_split([size], 1)
    return RAFTFeatures(features, hidden.tanh(), context.relu())


def match_frames(
    raft: Any, first: RAFTFeatures, others: Tensor, num_updates: int
) -> Tensor:
    """Estimate flows step by step; upsample only the last.

    Args:
        raft: torchvision's network.
        first: features of the frames where the flows begin.
        others: `features` of the frames where they end.
        num_updates: steps.

    Returns:
        (N, 2, H, W) in pixels, x first.
    """
    pyramid = correlate(first.features, others, raft.corr_block.num_levels)
    hidden = first.hidden
    grid = pixel_grid(others)
    targets = grid.expand(len(others), -1, -1, -1)
    for _ in range(num_updates):
        found = look_up(pyramid, targets, raft.corr_block.radius)
        hidden, change = raft.update_block(
            hidden, first.context, found, targets - grid
        )
        targets = targets + change
    if raft.mask_predictor is None:
        return upsample_flow(targets - grid)
    return upsample_flow(targets - grid, raft.mask_predictor(hidden))


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


def build_raft(network: str) -> nn.Module:
    """Build torchvision's network, 'small' or 'large', with random weights."""
    compat.allow_missing_torchvision_operators()
    models = compat.require('torchvision.models.optical_flow', 'metrics')
    with torch.random.fork_rng(devices=[]):  # initial values are not used
        return getattr(models, f'raft_{network}')(weights=None)


def _rename(name: str) -> str:
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return name
