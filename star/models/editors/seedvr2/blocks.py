"""Blocks of SeedVR2's transformers: video and text attend in windows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from star.models.editors.seedvr2.layers import (
    ATTENTION,
    MLP,
    GatedMLP,
    HeadNorm,
    Modulation,
    PlainMLP,
    normalise,
)
from star.models.editors.seedvr2.rotary import (
    LANGUAGE,
    language_angles,
    pixel_angles,
    rotate,
    text_angles,
)
from star.models.editors.seedvr2.windows import Box, Size, group_boxes
from star.models.layers.attention import AttentionLayer

VIDEO, TEXT, BOTH = 'vid', 'txt', 'all'  # names in the published files
_CHUNK = 1 << 14  # tokens that are computed at once


@dataclass(frozen=True)
class BlockSizes:
    """Sizes of a block.

    Args:
        dim: channels of a token.
        heads: of the attention.
        head_dim: channels of a head.
        gated: whether the MLP is a SwiGLU without biases; else a GELU with.
        rotary: 'language' or 'pixel' positions.
    """

    dim: int
    heads: int
    head_dim: int
    gated: bool
    rotary: str


@dataclass
class Angles:
    """Angles of positions, computed once for each size of a window.

    Args:
        sizes: of the blocks.
        text_length: tokens of the text.
        device: of the angles.
    """

    sizes: BlockSizes
    text_length: int
    device: torch.device
    _known: dict[Size, Tensor] = field(default_factory=dict)

    def video(self, size: Size) -> Tensor:
        """Return the angles of a window's tokens, (T H W, R)."""
        if size not in self._known:
            dim = self.sizes.head_dim
            if self.sizes.rotary == LANGUAGE:
                found = language_angles(size, self.text_length, dim)
            else:
                found = pixel_angles(size, dim)
            self._known[size] = found.to(self.device)
        return self._known[size]

    def text(self) -> Tensor | None:
        """Return the angles of the text's tokens, (L, R); None for none."""
        if self.sizes.rotary != LANGUAGE:
            return None
        found = text_angles(self.text_length, self.sizes.head_dim)
        return found.to(self.device)


class BoxAttention(AttentionLayer):
    """Attention of each window's tokens and of all the text's tokens.

    Args:
        sizes: of the block.
        shared: whether video and text have one set of weights.
    """

    def __init__(self, sizes: BlockSizes, shared: bool) -> None:
        super().__init__()
        inner = sizes.heads * sizes.head_dim
        self.heads = sizes.heads
        self.proj_qkv = _each(
            shared, lambda: nn.Linear(sizes.dim, 3 * inner, bias=False)
        )
        self.proj_out = _each(shared, lambda: nn.Linear(inner, sizes.dim))
        self.norm_q = _each(shared, lambda: HeadNorm(sizes.head_dim))
        self.norm_k = _each(shared, lambda: HeadNorm(sizes.head_dim))

    def forward(
        self,
        video: Tensor,
        text: Tensor,
        boxes: Sequence[Box],
        angles: Angles,
    ) -> tuple[Tensor, Tensor]:
        """Attend in all windows.

        Args:
            video: (T, H, W, C); overwritten.
            text: (L, C).
            boxes: windows, which cover the clip.
            angles: of the positions.

        Returns:
            `video` with the result, and the text's mean over the windows,
            (L, C).
        """
        texts = self._project(text[None], TEXT, angles.text())
        total: Tensor | float = 0.0
        for group in group_boxes(boxes, _CHUNK):
            mixed, said = self._attend(video, texts, group, angles)
            total = total + said
            for box, out in zip(group, mixed, strict=True):
                video[box.slices] = out.unflatten(0, box.size)
        assert isinstance(total, Tensor)
        return video, pick(self.proj_out, TEXT)((total / len(boxes)).to(text))

    def _attend(
        self,
        video: Tensor,
        texts: Sequence[Tensor],
        group: Sequence[Box],
        angles: Angles,
    ) -> tuple[Tensor, Tensor]:
        """Attend in windows of one size.

        Returns:
            (N, T H W, C), and the sum of what the text gets, (L, C) float32
            before its projection.
        """
        tokens = torch.stack(
            [video[box.slices].flatten(0, 2) for box in group]
        )
        own = self._project(tokens, VIDEO, angles.video(group[0].size))
        q, k, v = (
            torch.cat([x, said.expand(len(group), -1, -1, -1)], 2)
            for x, said in zip(own, texts, strict=True)
        )
        mixed = self.mix(q, k, v).transpose(1, 2).flatten(2)
        length = tokens.shape[1]
        out = pick(self.proj_out, VIDEO)(mixed[:, :length])
        return out, mixed[:, length:].float().sum(0)

    def _project(
        self, tokens: Tensor, kind: str, angles: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Make queries, keys and values, (N, heads, L, D) each."""
        qkv = pick(self.proj_qkv, kind)(tokens)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).unbind(2)
        q, k = pick(self.norm_q, kind)(q), pick(self.norm_k, kind)(k)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        if angles is not None:
            q, k = (rotate(x, angles) for x in (q, k))
        return q.to(v.dtype), k.to(v.dtype), v


class Block(nn.Module):
    """A block of the transformer.

    Args:
        sizes: of the block.
        shared: whether video and text have one set of weights.
        drops_text: whether nothing is computed from the text's result, as in
            the last block of the 3B model.
    """

    def __init__(
        self, sizes: BlockSizes, shared: bool, drops_text: bool = False
    ) -> None:
        super().__init__()
        mlp = GatedMLP if sizes.gated else PlainMLP
        self.drops_text = drops_text
        self.attn = BoxAttention(sizes, shared)
        self.mlp = _each(shared, lambda: mlp(sizes.dim))
        self.ada = _each(shared, lambda: Modulation(sizes.dim))

    def forward(
        self,
        video: Tensor,
        text: Tensor,
        emb: Tensor,
        boxes: Sequence[Box],
        angles: Angles,
    ) -> tuple[Tensor, Tensor]:
        """Pass on a clip's tokens, for inference.

        Args:
            video: (T, H, W, C); changed in place.
            text: (L, C).
            emb: of the timestep, (C, 2, 3) float32.
            boxes: windows.
            angles: of the positions.
        """
        ada, written = pick(self.ada, VIDEO), pick(self.ada, TEXT)
        if self.drops_text:  # in the official code it is normed alone
            said = normalise(text).to(text)
        else:
            said = written.prepare(text, emb, ATTENTION)
        prepared = torch.empty_like(video)
        for frame, out in zip(video, prepared, strict=True):
            out.copy_(ada.prepare(frame, emb, ATTENTION))
        mixed, said = self.attn(prepared, said, boxes, angles)
        for frame, out in zip(video, mixed, strict=True):
            frame.add_(ada.close(out, emb, ATTENTION))
        del prepared, mixed
        for tokens in video.flatten(0, 2).split(_CHUNK):
            tokens.add_(self._mix_channels(tokens, emb, VIDEO))
        if self.drops_text:
            return video, text
        text = text + written.close(said, emb, ATTENTION)
        return video, text + self._mix_channels(text, emb, TEXT)

    def _mix_channels(self, x: Tensor, emb: Tensor, kind: str) -> Tensor:
        ada = pick(self.ada, kind)
        out = pick(self.mlp, kind)(ada.prepare(x, emb, MLP))
        return ada.close(out, emb, MLP)


def pick(parts: nn.ModuleDict, kind: str) -> Any:
    """Return a modality's part, or the one that both share."""
    return parts[kind if kind in parts else BOTH]


def _each(shared: bool, make: Callable[[], nn.Module]) -> nn.ModuleDict:
    """Make one part for both modalities, or one for each."""
    kinds = (BOTH,) if shared else (VIDEO, TEXT)
    return nn.ModuleDict({kind: make() for kind in kinds})
