"""Small networks that judge a frozen teacher's features."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

_WAVES = 8  # cosines, and as many sines, of a timestep


class FeatureHead(nn.Module):
    """Judges the features of one layer, each place by itself.

    Args:
        dim: channels of the features.
        width: of the hidden layer.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(dim, width)
        self.level = nn.Linear(2 * _WAVES, width)
        self.middle = nn.Linear(width, width)
        self.leave = nn.Linear(width, 1)
        for layer in (self.enter, self.level, self.middle, self.leave):
            _initialise(layer)

    def forward(self, features: Tensor, level: Tensor) -> Tensor:
        """Return logits.

        Args:
            features: (n, ..., dim), n a multiple of N.
            level: share of all timesteps, (N,) in [0, 1].

        Returns:
            (n, ...), high for what looks real.
        """
        x = F.layer_norm(features, features.shape[-1:])
        at = self.level(embed_level(level))
        at = at.repeat_interleave(len(x) // len(level), 0)
        x = self.enter(x) + at.view(len(x), *(1,) * (x.ndim - 2), -1)
        return self.leave(F.silu(self.middle(F.silu(x))))[..., 0]


class FeatureHeads(nn.Module):
    """One head for each layer of a teacher.

    Args:
        layers: channels of each layer, by its name.
        width: of the hidden layers.
    """

    def __init__(self, layers: Mapping[str, int], width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            FeatureHead(dim, width) for dim in layers.values()
        )

    def forward(
        self, features: Sequence[Tensor], level: Tensor
    ) -> list[Tensor]:
        """Return the logits of each layer, (N, places) float32.

        Args:
            features: one tensor (n, ..., channels) for each layer.
            level: share of all timesteps, (N,).
        """
        with torch.autocast(level.device.type, enabled=False):
            return [
                head(x.float(), level).reshape(len(level), -1)
                for head, x in zip(self.heads, features, strict=True)
            ]

    def frozen(
        self, features: Sequence[Tensor], level: Tensor
    ) -> list[Tensor]:
        """Return the logits, whose gradient does not reach the heads."""
        fixed = {name: p.detach() for name, p in self.named_parameters()}
        return functional_call(self, fixed, (features, level))


@torch.no_grad()
def _initialise(layer: nn.Linear) -> None:
    """Fill a layer; files of a model's weights have none for it.

    Models are built without torch's initialisation where files follow.
    """
    layer.weight.normal_(std=(3 * layer.in_features) ** -0.5)
    layer.bias.zero_()


def embed_level(level: Tensor) -> Tensor:
    """Embed shares of all timesteps, (N,), as waves, (N, 2 * 8)."""
    pace = 2.0 ** torch.arange(_WAVES, device=level.device) * torch.pi / 2
    angles = level[:, None] * pace
    return torch.cat([angles.cos(), angles.sin()], -1)
