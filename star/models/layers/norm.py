"""The number of groups in GroupNorms of narrow networks."""

from torch import nn


def set_norm_groups(module: nn.Module, groups: int) -> None:
    """Change the groups of every GroupNorm; parameters do not depend on it.

    Raises:
        ValueError: `groups` does not divide the channels of a norm.
    """
    for norm in module.modules():
        if isinstance(norm, nn.GroupNorm):
            if groups < 1 or norm.num_channels % groups:
                raise ValueError(
                    f'`norm_groups` must divide {norm.num_channels} '
                    f'channels, got {groups}'
                )
            norm.num_groups = groups
