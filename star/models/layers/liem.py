"""Local information enhancement before global attention (paper Eq. 3, 4)."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from star.registry import MODELS

POSITIONS = ('i', 'ii', 'iii')
GATES = ('before_norm', 'after_norm')
OFFICIAL_LIEM: Mapping = MappingProxyType({'type': 'LIEM'})


@MODELS.register_module()
class LIEM(nn.Module):
    """A residual attention branch G with a local gate L on its input.

    L(F) = sigmoid(conv([max(F), mean(F)])), pooled over channels; `conv` is
    7x7 per frame around spatial attention and pointwise around temporal
    attention, as in the official code (the paper says 3x3). An axis that is
    switched off has no parameters and leaves G(norm(F)) + F.

    With gate 'before_norm' the gate, one positive number per token, meets a
    LayerNorm that cancels it unless the gate saturates near zero.

    Args:
        axis: the attention this one wraps, 'spatial' or 'temporal'; set by
            the network, not by a config.
        spatial: gate spatial attention.
        temporal: gate temporal attention.
        position: 'i' gates the branch, F + G(L(F) F); 'ii' the trunk before
            the branch, F' = L(F) F, F' + G(F'); 'iii' the trunk after it.
        gate: where position 'i' applies L(F): 'before_norm' as in the
            official code, G(norm(L(F) F)); 'after_norm' as in Eq. 4,
            G(L(F) norm(F)).

    Raises:
        ValueError: `axis`, `position` or `gate` is unknown.
    """

    def __init__(
        self,
        axis: str = 'spatial',
        spatial: bool = True,
        temporal: bool = True,
        position: str = 'i',
        gate: str = 'before_norm',
    ) -> None:
        super().__init__()
        _check('axis', axis, ('spatial', 'temporal'))
        _check('position', position, POSITIONS)
        _check('gate', gate, GATES)
        self.position = position
        self.gate = gate
        self.conv: nn.Module | None = None
        if axis == 'spatial' and spatial:
            self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        elif axis == 'temporal' and temporal:
            self.conv = nn.Linear(2, 1, bias=False)

    def local(self, x: Tensor) -> Tensor:
        """Compute the gate L(F) of tokens.

        Args:
            x: tokens, (N, T, H, W, C).

        Returns:
            (N, T, H, W, 1) in (0, 1).
        """
        return self.local_of(pool(x))

    def local_of(self, pooled: Tensor) -> Tensor:
        """Compute the gate from pooled channels.

        Args:
            pooled: from `pool`, (N, T, H, W, 2).

        Returns:
            (N, T, H, W, 1) in (0, 1).
        """
        if isinstance(self.conv, nn.Linear):
            return self.conv(pooled).sigmoid()
        assert self.conv is not None
        maps = self.conv(pooled.flatten(0, 1).permute(0, 3, 1, 2))
        return maps.sigmoid().view(*pooled.shape[:-1], 1)

    def forward(
        self,
        x: Tensor,
        norm: Callable[[Tensor], Tensor],
        attention: Callable[[Tensor], Tensor],
    ) -> Tensor:
        """Apply the gated residual branch.

        Args:
            x: tokens F, (N, T, H, W, C).
            norm: LayerNorm over the last dimension.
            attention: G, from and to the shape of `x`.

        Returns:
            (N, T, H, W, C).
        """
        if self.conv is None:
            return x + attention(norm(x))
        if self.position == 'ii':
            x = x * self.local(x)
            return x + attention(norm(x))
        if self.position == 'iii':
            x = x + attention(norm(x))
            return x * self.local(x)
        if self.gate == 'after_norm':
            return x + attention(norm(x) * self.local(x))
        return x + attention(norm(x * self.local(x)))


def pool(x: Tensor) -> Tensor:
    """Pool channels: maximum, then mean; (..., C) to (..., 2)."""
    return torch.stack([x.amax(-1), x.mean(-1)], -1)


def build_liem(liem: Mapping | None, axis: str) -> nn.Module:
    """Build the gate of one attention.

    Args:
        liem: config of a registered class, or None for no gates.
        axis: 'spatial' or 'temporal'.
    """
    if liem is None:
        return LIEM(axis, spatial=False, temporal=False)
    return MODELS.build({**liem, 'axis': axis})


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f'`{name}` must be one of {allowed}, got {value!r}')
