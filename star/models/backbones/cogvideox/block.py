"""A block of CogVideoX's transformer with STAR's local gates."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from star.models.backbones.cogvideox.positions import Grid, rotate
from star.models.layers.attention import AUTO, AttentionLayer, mix_tokens
from star.models.layers.liem import build_liem, pool


class DiTBlock(AttentionLayer):
    """Attention of text and video to each other, gated, and a feed-forward.

    The video tokens that enter the attention are gated by their maximum and
    mean over the channels, first with a 7x7 neighbourhood in their frame,
    then each by itself. No norm follows the gates, so nothing undoes them.

    Args:
        block: diffusers' `CogVideoXBlock`, whose layers are taken over.
        liem: config of the local gates, or None for none. Position 'i' with
            gate 'after_norm' is the official one; see `LIEM`.
    """

    # diffusers' layers, whose types do not state their attributes
    norm1: Any
    attn1: Any
    norm2: Any
    ff: Any

    def __init__(self, block: nn.Module, liem: Mapping | None) -> None:
        super().__init__()
        for name in ('norm1', 'attn1', 'norm2', 'ff'):
            self.add_module(name, block.get_submodule(name))
        self.local1: Any = build_liem(liem, 'spatial')
        self.local2: Any = build_liem(liem, 'temporal')
        position, gate = self.local1.position, self.local1.gate
        self.place = gate if position == 'i' else position

    def forward(
        self,
        video: Tensor,
        text: Tensor,
        embed: Tensor,
        rope: Tensor | None,
        grid: Grid,
    ) -> tuple[Tensor, Tensor]:
        """Transform tokens.

        Args:
            video: (N, T h w, C), frame by frame, row by row.
            text: (N, L, C).
            embed: time embedding after SiLU, (N, E).
            rope: from `rope_table`, or None.
            grid: video tokens in time, height and width.

        Returns:
            `video` and `text`, transformed.
        """
        video = self._gated('ii', video, grid)
        video, text = _add(
            video, text, *self._attend(video, text, embed, rope, grid)
        )
        video, text = _add(video, text, *self._feed(video, text, embed))
        return self._gated('iii', video, grid), text

    def _attend(
        self,
        video: Tensor,
        text: Tensor,
        embed: Tensor,
        rope: Tensor | None,
        grid: Grid,
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the residuals of the attention and their gates."""
        branch = self._gated('before_norm', video, grid)
        tokens, gates = modulate(self.norm1, embed, text, branch)
        tokens[1] = self._gated('after_norm', tokens[1], grid)
        x = _join(tokens)
        return attend(self.attn1, x, rope, self.kernel), gates

    def _feed(
        self, video: Tensor, text: Tensor, embed: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the residuals of the feed-forward and their gates."""
        tokens, gates = modulate(self.norm2, embed, text, video)
        return self.ff(_join(tokens)), gates

    def _gated(self, place: str, x: Tensor, grid: Grid) -> Tensor:
        """Apply both gates to video tokens if they belong at this place."""
        locals_ = [m for m in (self.local1, self.local2) if m.conv is not None]
        if place != self.place or not locals_:
            return x
        # A gate is positive: it scales maximum and mean as it scales the
        # tokens, so the second needs no pooling of its own.
        pooled = pool(x).unflatten(1, grid)
        gate: Tensor = locals_[0].local_of(pooled)
        for local in locals_[1:]:
            gate = gate * local.local_of(pooled * gate)
        return x * gate.flatten(1, 3)


def modulate(
    norm: Any, embed: Tensor, text: Tensor, video: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """Normalise tokens, then scale and shift them by the time embedding.

    Args:
        norm: diffusers' `CogVideoXLayerNormZero`.
        embed: time embedding after SiLU, (N, E).
        text: (N, L, C).
        video: (N, T h w, C).

    Returns:
        Text and video tokens, and the gate of each residual, (N, 1, C).
    """
    chunks = norm.linear(embed)[:, None].chunk(6, -1)
    tokens = [
        torch.addcmul(shift, norm.norm(x), 1 + scale)
        for x, shift, scale in ((text, *chunks[3:5]), (video, *chunks[:2]))
    ]
    return tokens, [chunks[5], chunks[2]]


def attend(
    attn: Any, x: Tensor, rope: Tensor | None, kernel: str = AUTO
) -> Tensor:
    """Let all tokens attend to all.

    Args:
        attn: diffusers' `Attention`.
        x: text and video tokens, (N, L, C).
        rope: from `rope_table`, or None.
        kernel: as for `mix_tokens`.

    Returns:
        (N, L, C).
    """

    def project(layer: Any, norm: Any = None) -> Tensor:
        part = layer(x).unflatten(-1, (attn.heads, -1))
        if norm is not None:
            part = norm(part)
            part = part if rope is None else rotate(part, rope)
        return part.transpose(1, 2)

    mixed = mix_tokens(
        project(attn.to_q, attn.norm_q),
        project(attn.to_k, attn.norm_k),
        project(attn.to_v),
        kernel,
    )
    return attn.to_out[0](mixed.transpose(1, 2).flatten(2))


def _join(tokens: list[Tensor]) -> Tensor:
    """Join tokens and empty the list: they would be held twice."""
    x = torch.cat(tokens, 1)
    tokens.clear()
    return x


def _add(
    video: Tensor, text: Tensor, x: Tensor, gates: list[Tensor]
) -> tuple[Tensor, Tensor]:
    """Add joined tokens times their gates to text and video tokens."""
    words, frames = x.split([text.shape[1], video.shape[1]], 1)
    return (
        torch.addcmul(video, gates[1], frames),
        torch.addcmul(text, gates[0], words),
    )
