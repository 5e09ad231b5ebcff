"""Attention within windows of a frame, shifted in every second layer."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Window = tuple[slice, slice]  # rows and columns of tokens


@dataclass
class TokenGrid:
    """The tokens of a clip: frames, rows, columns.

    All layers of a transformer share one, which is set before each call.
    """

    frames: int = 1
    rows: int = 1
    columns: int = 1


def window_starts(length: int, size: int, shifted: bool) -> list[int]:
    """Return where windows begin along an axis.

    They lie within the axis and overlap where it ends; no window is shorter
    than `size` unless the axis is.

    Args:
        length: tokens of the axis.
        size: tokens of a window.
        shifted: by half a window.
    """
    size = min(size, length)
    shift = size // 2 if shifted else 0
    count = math.ceil(length / size) + 2
    found = {
        min(max(k * size - shift, 0), length - size) for k in range(count)
    }
    starts = sorted(found)
    inner = range(1, len(starts) - 1)
    idle = {i for i in inner if starts[i + 1] <= starts[i - 1] + size}
    return [start for i, start in enumerate(starts) if i not in idle]


def plan_token_windows(
    rows: int, columns: int, size: tuple[int, int], shifted: bool
) -> list[Window]:
    """Cover a frame's tokens with windows, row by row.

    Args:
        rows: of tokens.
        columns: of tokens.
        size: rows and columns of a window.
        shifted: by half a window.
    """
    sides = min(size[0], rows), min(size[1], columns)
    return [
        (slice(top, top + sides[0]), slice(left, left + sides[1]))
        for top in window_starts(rows, size[0], shifted)
        for left in window_starts(columns, size[1], shifted)
    ]


class TokenWindowAttention:
    """Processor of diffusers' `WanAttention`: self-attention in windows.

    A window holds all frames. A token in several windows takes its output
    from the first of them, in a shifted layer from the last.

    Args:
        grid: of the tokens, shared with who calls the transformer.
        size: rows and columns of a window, in tokens.
        shifted: windows are shifted by half a window.
    """

    def __init__(
        self, grid: TokenGrid, size: tuple[int, int], shifted: bool
    ) -> None:
        self.grid, self.size, self.shifted = grid, size, shifted

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attend; the arguments are those of diffusers' processors.

        Args:
            attn: the layer, with its projections and norms.
            hidden_states: (N, tokens, D).
            encoder_hidden_states: must be None.
            attention_mask: must be None.
            rotary_emb: cosines and sines, (1, tokens, 1, head width) each.
        """
        assert encoder_hidden_states is None and attention_mask is None
        assert rotary_emb is not None
        heads = (attn.heads, -1)
        q = attn.norm_q(attn.to_q(hidden_states)).unflatten(2, heads)
        k = attn.norm_k(attn.to_k(hidden_states)).unflatten(2, heads)
        v = attn.to_v(hidden_states).unflatten(2, heads)
        q, k = (_rotate(x, *rotary_emb) for x in (q, k))
        out = self._attend(*(self._as_grid(x) for x in (q, k, v)))
        out = out.flatten(1, 3).flatten(2, 3).type_as(hidden_states)
        return attn.to_out[1](attn.to_out[0](out))

    def _as_grid(self, x: Tensor) -> Tensor:
        grid = self.grid
        return x.unflatten(1, (grid.frames, grid.rows, grid.columns))

    def _windows(self) -> Iterator[Window]:
        """Yield the windows; the one that counts comes last."""
        windows = plan_token_windows(
            self.grid.rows, self.grid.columns, self.size, self.shifted
        )
        yield from windows if self.shifted else reversed(windows)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Attend within each window, (N, T, h, w, heads, head width)."""
        out = torch.empty_like(v)
        for rows, columns in self._windows():
            here = (slice(None), slice(None), rows, columns)
            own, keys, values = (
                x[here].flatten(1, 3).transpose(1, 2).contiguous()
                for x in (q, k, v)
            )
            seen = F.scaled_dot_product_attention(own, keys, values)
            out[here] = seen.transpose(1, 2).reshape(out[here].shape)
        return out


def use_windows(
    transformer: nn.Module, grid: TokenGrid, size: tuple[int, int]
) -> None:
    """Let the self-attention of a transformer see windows.

    Args:
        transformer: diffusers' `WanTransformer3DModel`.
        grid: to be set before each call.
        size: rows and columns of a window, in tokens.
    """
    blocks: Any = transformer.get_submodule('blocks')
    for number, block in enumerate(blocks):
        shifted = number % 2 == 1
        block.attn1.processor = TokenWindowAttention(grid, size, shifted)


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn neighbouring channels by the angles of their token."""
    real, imaginary = x.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos[..., 0::2], sin[..., 1::2]
    turned = (real * cos - imaginary * sin, real * sin + imaginary * cos)
    return torch.stack(turned, -1).flatten(-2).type_as(x)
