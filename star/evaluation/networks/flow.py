"""Optical flow by RAFT, Teed and Deng 2020, through torchvision."""

import re

import torch
from torch import Tensor, nn

from star import compat
from star.evaluation.weights import downloading, fill, load_state

# constructor, and weights trained on FlyingChairs and FlyingThings alone:
# torchvision's first version of the large network is the original's
NETWORKS = {
    'small': ('raft_small', 'Raft_Small_Weights', 'C_T_V2'),
    'large': ('raft_large', 'Raft_Large_Weights', 'C_T_V1'),
}
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


class RAFT(nn.Module):
    """Estimates the flow between frames.

    Args:
        network: 'small' (1.0 M parameters) or 'large' (5.3 M).
        weights: file of torchvision's or of the original repository
            (princeton-vl: raft-small.pth, raft-things.pth ...); None
            downloads torchvision's, trained on FlyingChairs and
            FlyingThings.
        num_updates: iterations, >= 1; 20 as in the evaluation code that the
            warping error comes from.

    Raises:
        ValueError: unknown `network`, or a file that does not fit.
    """

    def __init__(
        self,
        network: str = 'small',
        weights: str | None = None,
        num_updates: int = 20,
    ) -> None:
        super().__init__()
        if network not in NETWORKS:
            raise ValueError(
                f"`network` must be 'small' or 'large', got {network!r}"
            )
        if num_updates < 1:
            raise ValueError(
                f'`num_updates` must be at least 1, got {num_updates}'
            )
        self.num_updates = num_updates
        self.raft = _build(network, download=weights is None)
        if weights is not None:
            state = to_torchvision(load_state(weights))
            fill(self.raft, state, weights)
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
        height, width = first.shape[-2:]
        if min(height, width) < _LEAST or height % 8 or width % 8:
            raise ValueError(
                'frames must have sides that are multiples of '
                f'8 and at least {_LEAST} for RAFT (twice that where frames '
                f'are halved first), got {height}x{width}'
            )
        device = next(self.parameters()).device
        pair = [x.to(device).float() / 127.5 - 1 for x in (first, second)]
        with torch.no_grad():
            return self.raft(*pair, num_flow_updates=self.num_updates)[-1]


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


def _build(network: str, download: bool) -> nn.Module:
    compat.allow_missing_torchvision_operators()
    models = compat.require('torchvision.models.optical_flow', 'metrics')
    make, table, version = NETWORKS[network]
    weights = getattr(models, table)[version] if download else None
    with (
        downloading(make),
        torch.random.fork_rng(),
    ):  # its initial values are overwritten
        return getattr(models, make)(weights=weights)
