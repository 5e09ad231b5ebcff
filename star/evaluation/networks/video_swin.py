"""Video Swin-T with gated position biases, the technical branch of DOVER.

Liu et al. 2022 (Video Swin Transformer), with the second bias of Wu et al.
2022 (FAST-VQA): neighbours may come from different fragments.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

Triple = tuple[int, int, int]
WINDOW: Triple = (8, 7, 7)
_PATCH: Triple = (2, 4, 4)
_HIDDEN = -100.0  # not infinite, because the weights were trained with it


@dataclass(frozen=True)
class Windows:
    """Layout of a stage's tokens in windows.

    D windows lie behind one another and P side by side; each holds L tokens.

    Args:
        size: of a window, (depth, height, width).
        shift: by which tokens are rolled before they are cut.
        rows: row of the fragment that each token is in, (P, L).
        columns: column of the fragment that each token is in, (P, L).
        regions: only tokens of one region attend to each other, (D, P, L);
            None if all do.
    """

    size: Triple
    shift: Triple
    rows: Tensor
    columns: Tensor
    regions: Tensor | None


class VideoSwin(nn.Module):
    """Maps clips made of fragments to features at 1/2 x 1/32 x 1/32.

    Args:
        dim: channels of the first stage; each next one has twice as many.
        depths: blocks of the four stages.
        heads: attention heads of the stages.
        fragment_biases: stages that have the second bias.
    """

    def __init__(
        self,
        dim: int = 96,
        depths: tuple[int, ...] = (2, 2, 6, 2),
        heads: tuple[int, ...] = (3, 6, 12, 24),
        fragment_biases: tuple[bool, ...] = (True, True, True, False),
    ) -> None:
        super().__init__()
        self.patch_embed = _PatchEmbedding(dim)
        options = list(zip(depths, heads, fragment_biases, strict=True))
        self.layers = nn.ModuleList(
            _Stage(dim * 2**i, *option, last=i == len(options) - 1)
            for i, option in enumerate(options)
        )
        self.norm = nn.LayerNorm(dim * 2 ** (len(options) - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Compute features.

        Args:
            x: (N, 3, T, H, W) float, normalized; zeros pad sides that do not
                divide.

        Returns:
            (N, C, T / 2, H / 32, W / 32).
        """
        x = self.patch_embed(x)
        for layer in self.layers:
            x = layer(x)
        return rearrange(self.norm(x), 'n t h w c -> n c t h w')


class _PatchEmbedding(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv3d(3, dim, _PATCH, _PATCH)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        x = rearrange(x, 'n c t h w -> n t h w c')
        x = rearrange(_pad(x, _PATCH), 'n t h w c -> n c t h w')
        return self.norm(rearrange(self.proj(x), 'n c t h w -> n t h w c'))


class _Stage(nn.Module):
    """Blocks, every second one with shifted windows; then a halving."""

    def __init__(
        self, dim: int, depth: int, heads: int, fragments: bool, last: bool
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            _SwinBlock(dim, heads, fragments) for _ in range(depth)
        )
        self.downsample = None if last else _PatchMerging(dim)

    def forward(self, x: Tensor) -> Tensor:
        size: Triple = x.shape[1], x.shape[2], x.shape[3]
        layouts = [make_windows(size, s, x.device) for s in (False, True)]
        for i, block in enumerate(self.blocks):
            x = block(x, layouts[i % 2])
        return x if self.downsample is None else self.downsample(x)


class _PatchMerging(nn.Module):
    """Halve height and width: four neighbours become one token."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = _pad(x, (1, 2, 2))
        # channels: upper left, lower left, upper right, lower right
        x = rearrange(x, 'n t (h j) (w i) c -> n t h w (i j c)', i=2, j=2)
        return self.reduction(self.norm(x))


class _SwinBlock(nn.Module):
    def __init__(self, dim: int, heads: int, fragments: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn = _WindowAttention(dim, heads, fragments)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = _MLP(dim)

    def forward(self, x: Tensor, windows: Windows) -> Tensor:
        x = x + self._attend(self.norm1(x), windows)
        return x + self.mlp(self.norm2(x))

    def _attend(self, x: Tensor, windows: Windows) -> Tensor:
        _, t, h, w, _ = x.shape
        x = _pad(x, windows.size)
        depth, height, width = windows.size
        whole = tuple(x.shape[1:4])
        x = x.roll([-s for s in windows.shift], (1, 2, 3))
        x = rearrange(
            x,
            'n (t i) (h j) (w k) c -> (h w) t n (i j k) c',
            i=depth,
            j=height,
            k=width,
        )
        x = rearrange(
            self.attn(x, windows),
            '(h w) t n (i j k) c -> n (t i) (h j) (w k) c',
            h=whole[1] // height,
            i=depth,
            j=height,
            k=width,
        )
        return x.roll(windows.shift, (1, 2, 3))[:, :t, :h, :w]


class _MLP(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class _WindowAttention(nn.Module):
    """Attention within windows, with one or two tables of biases."""

    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int, fragments: bool) -> None:
        super().__init__()
        self.heads = heads
        offsets = (2 * WINDOW[0] - 1) * (2 * WINDOW[1] - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(
            torch.zeros(offsets, heads)
        )
        self.fragment_position_bias_table = (
            nn.Parameter(torch.zeros(offsets, heads)) if fragments else None
        )
        self.register_buffer('relative_position_index', position_index())
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, windows: Windows) -> Tensor:
        """Attend; `x` is (P, D, N, L, C), windows side by side first."""
        qkv = rearrange(
            self.qkv(x), 'p t n l (a h c) -> a p t n h l c', a=3, h=self.heads
        )
        tables = self._tables(x.shape[-2])
        # window by window, because all biases at once would take most memory
        out = [
            self._attend(qkv[:, p], windows, tables, p) for p in range(len(x))
        ]
        return self.proj(torch.stack(out))

    def _tables(self, tokens: int) -> list[Tensor]:
        """Look up the biases of each pair of tokens, (heads, L, L) each."""
        index = self.relative_position_index[:tokens, :tokens]
        tables = [
            self.relative_position_bias_table,
            self.fragment_position_bias_table,
        ]
        return [
            rearrange(t[index], 'i j h -> h i j')
            for t in tables
            if t is not None
        ]

    def _attend(
        self, qkv: Tensor, windows: Windows, tables: list[Tensor], p: int
    ) -> Tensor:
        """Attend in the D windows at position `p`, (3, D, N, h, L, c)."""
        bias = tables[0]
        if len(tables) > 1:
            # The gate counts how many fragments apart two tokens are. The
            # second table is for tokens of one fragment, the first for those
            # of the next; beyond, it is extrapolated, as in training.
            gate = _distance(windows.rows[p]) + _distance(windows.columns[p])
            bias = torch.lerp(tables[1], bias, gate.to(bias.dtype))
        out = []
        for t in range(qkv.shape[1]):
            if windows.regions is None:
                mask = bias
            else:
                mask = bias + _hidden(windows.regions[t, p])
            q, k, v = qkv[:, t]
            out.append(F.scaled_dot_product_attention(q, k, v, mask[None]))
        return rearrange(torch.stack(out), 't n h l c -> t n l (h c)')


def position_index() -> Tensor:
    """Number the offsets between tokens of a window.

    Returns:
        (L, L) int64 rows of the tables of biases, offsets in depth, height
        and width, each from its least.
    """
    _, height, width = WINDOW
    axes = [torch.arange(side) for side in WINDOW]
    t, h, w = (
        g.flatten()[:, None] - g.flatten() + side - 1
        for g, side in zip(
            torch.meshgrid(*axes, indexing='ij'), WINDOW, strict=True
        )
    )
    return (t * (2 * height - 1) + h) * (2 * width - 1) + w


def make_windows(
    size: Triple, shifted: bool, device: torch.device | str = 'cpu'
) -> Windows:
    """Plan the windows of a stage.

    Args:
        size: tokens in depth, height and width.
        shifted: move windows by half their size, except along an axis that
            one window covers.
        device: of the tensors.
    """
    window = [min(a, b) for a, b in zip(WINDOW, size, strict=True)]
    whole = [_ceil(a, b) for a, b in zip(size, window, strict=True)]
    shift = [
        full // 2 if shifted and side > full else 0
        for full, side in zip(WINDOW, size, strict=True)
    ]
    axes = [
        _fragments(whole[i], window[i] if i else 1, device).roll(-shift[i])
        for i in range(3)
    ]
    fragments = [_cut(grid, window) for grid in _meshgrid(axes)]
    return Windows(
        (window[0], window[1], window[2]),
        (shift[0], shift[1], shift[2]),
        fragments[1][0],
        fragments[2][0],
        _regions(whole, window, shift, device) if any(shift) else None,
    )


def _regions(
    whole: list[int],
    window: list[int],
    shift: list[int],
    device: torch.device | str,
) -> Tensor:
    """Number the regions that rolling has put side by side."""
    axes = []
    for side, size, step in zip(whole, window, shift, strict=True):
        x = torch.arange(side, device=device)
        edges = (x >= side - size).int() + (x >= side - step).int()
        axes.append(edges if step else torch.zeros_like(edges))
    t, h, w = _meshgrid(axes)
    return _cut((t * 3 + h) * 3 + w, window)


def _fragments(side: int, count: int, device: torch.device | str) -> Tensor:
    """Return which of `count` equal parts of a side a token is in, (side,)."""
    parts = torch.arange(count, dtype=torch.float32, device=device)
    return F.interpolate(parts[None, None], size=side)[0, 0]


def _meshgrid(axes: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.meshgrid(*axes, indexing='ij')


def _cut(grid: Tensor, window: list[int]) -> Tensor:
    """Cut (T, H, W) into windows, (D, P, L)."""
    return rearrange(
        grid,
        '(t i) (h j) (w k) -> t (h w) (i j k)',
        i=window[0],
        j=window[1],
        k=window[2],
    )


def _distance(index: Tensor) -> Tensor:
    """Compute the distances between all tokens' indices, (L, L)."""
    return (index[:, None] - index).abs()


def _hidden(region: Tensor) -> Tensor:
    """Return the mask of tokens in different regions, (L, L)."""
    return _HIDDEN * (region[:, None] != region)


def _pad(x: Tensor, multiples: Triple) -> Tensor:
    """Append zeros to (N, T, H, W, C) until its sides divide."""
    t, h, w = (
        _ceil(side, multiple) - side
        for side, multiple in zip(x.shape[1:4], multiples, strict=True)
    )
    return F.pad(x, (0, 0, 0, w, 0, h, 0, t)) if t or h or w else x


def _ceil(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
