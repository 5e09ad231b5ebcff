"""Position encodings: the rotations of 5B, the added sinusoids of 2B."""

import torch
from torch import Tensor

from star.utils.kept_tables import kept

Grid = tuple[int, int, int]

THETA = 10000
# 2B counts rows and columns in steps of 1 / 1.875.
SINCOS_STRETCH = 1.875


@kept
def rope_table(
    grid: Grid, num_text: int, head_dim: int, device: torch.device
) -> Tensor:
    """Compute the rotations of text and video tokens.

    A quarter of a head's channels turns with the frame, three eighths with
    the row and three eighths with the column, all counted from 0; text does
    not turn. Neighbouring channels make a pair.

    Args:
        grid: video tokens in time, height and width.
        num_text: text tokens, which come first.
        head_dim: channels of a head, 16 k.
        device: where to.

    Returns:
        Complex numbers of length 1, (num_text + T h w, 1, head_dim / 2).
    """
    # a table made in inference mode could never be used in training
    with torch.inference_mode(False), torch.no_grad():
        axes = [
            _angles(side, part // 2, 1, device)
            for side, part in zip(grid, _parts(head_dim), strict=True)
        ]
        angles = torch.cat(_over_grid(axes, grid), -1).flatten(0, 2)
        text = angles.new_zeros(num_text, angles.shape[-1])
        angles = torch.cat([text, angles])[:, None]
        return torch.polar(torch.ones_like(angles), angles)


@kept
def sincos_table(grid: Grid, dim: int, device: torch.device) -> Tensor:
    """Compute the sinusoids that 2B adds to its video tokens, for any grid.

    A quarter of the channels encodes the frame, three eighths the column,
    the rest the row: the sines, then the cosines of each.

    Args:
        grid: video tokens in time, height and width.
        dim: channels, 16 k.
        device: where to.

    Returns:
        (T h w, dim) float32.
    """
    stretches = (1, SINCOS_STRETCH, SINCOS_STRETCH)
    with torch.inference_mode(False), torch.no_grad():
        angles = [
            _angles(side, part // 2, stretch, device)
            for side, part, stretch in zip(
                grid, _parts(dim), stretches, strict=True
            )
        ]
        axes = [torch.cat([a.sin(), a.cos()], -1) for a in angles]
        t, h, w = _over_grid(axes, grid)
        return torch.cat([t, w, h], -1).flatten(0, 2)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Turn pairs of neighbouring channels, in float32.

    Args:
        x: queries or keys, (N, L, heads, head_dim).
        table: from `rope_table`, (L, 1, head_dim / 2).

    Returns:
        Turned `x`, of the same shape and dtype.
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * table).flatten(-2).to(x.dtype)


def _parts(dim: int) -> tuple[int, int, int]:
    """Count the channels that encode the frame, the row and the column."""
    return dim // 4, dim // 8 * 3, dim // 8 * 3


def _angles(
    side: int, num: int, stretch: float, device: torch.device
) -> Tensor:
    """Compute the angles of an axis's positions, (side, num) float32."""
    exponents = torch.arange(num, dtype=torch.float32, device=device) / num
    positions = torch.arange(side, dtype=torch.float32, device=device)
    return torch.outer(positions / stretch, 1 / THETA**exponents)


def _over_grid(axes: list[Tensor], grid: Grid) -> list[Tensor]:
    """Repeat the values of each axis, (side, C), to (T, h, w, C)."""
    shapes = [(-1, 1, 1), (1, -1, 1), (1, 1, -1)]
    return [
        axis.view(*shape, axis.shape[-1]).expand(*grid, -1)
        for axis, shape in zip(axes, shapes, strict=True)
    ]
