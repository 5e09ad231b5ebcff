"""Steps of RAFT without parameters, Teed and Deng 2020, section 3.2."""

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F


def correlate(first: Tensor, second: Tensor, levels: int) -> list[Tensor]:
    """Correlate every pixel of a frame with every pixel of another.

    Args:
        first: features, (N, C, h, w).
        second: features, (N, C, h, w).
        levels: of the pyramid; each halves the sides of the one before.

    Returns:
        For each level, (N h w, 1, h', w'): the correlation of each pixel of
        the first frame with all of the second.
    """
    scale = first.shape[1] ** -0.5
    volume = torch.einsum('nchw,ncij->nhwij', first, second) * scale
    level = volume.flatten(0, 2)[:, None]
    pyramid = [level]
    for _ in range(levels - 1):
        level = F.avg_pool2d(level, 2)
        pyramid.append(level)
    return pyramid


def look_up(pyramid: list[Tensor], targets: Tensor, radius: int) -> Tensor:
    """Look up the correlations around the target of each pixel.

    Args:
        pyramid: from `correlate`.
        targets: in pixels of the first level, x first, (N, 2, h, w).
        radius: of the square window, in pixels of each level.

    Returns:
        (N, levels (2 radius + 1)**2, h, w), zero outside of a level. As in
        the original, windows are read column by column.
    """
    number, _, height, width = targets.shape
    steps = torch.arange(-radius, radius + 1.0, device=targets.device)
    window = torch.stack(torch.meshgrid(steps, steps, indexing='ij'), -1)
    centres = targets.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    found = []
    for i, level in enumerate(pyramid):
        sides = torch.tensor(level.shape[:-3:-1], device=targets.device)
        points = (centres / 2**i + window) * 2 / (sides - 1) - 1
        values = F.grid_sample(level, points, align_corners=True)
        found.append(values.view(number, height, width, -1))
    return torch.cat(found, -1).permute(0, 3, 1, 2)


def upsample_flow(flow: Tensor, mask: Tensor | None = None) -> Tensor:
    """Upsample a flow from an eighth of the size to the full size.

    Args:
        flow: (N, 2, h, w) in its own pixels.
        mask: (N, 9 * 64, h, w), weights of the 3 x 3 neighbours for each of
            the 64 new pixels, before the softmax; None to interpolate.

    Returns:
        (N, 2, 8 h, 8 w) in pixels of the full size.
    """
    number, _, height, width = flow.shape
    if mask is None:
        size = (8 * height, 8 * width)
        return 8 * F.interpolate(
            flow, size, mode='bilinear', align_corners=True
        )
    shares = mask.view(number, 1, 9, 8, 8, height, width).softmax(2)
    near = F.unfold(8 * flow, 3, padding=1)
    near = near.view(number, 2, 9, 1, 1, height, width)
    return rearrange((shares * near).sum(2), 'n c i j h w -> n c (h i) (w j)')


def pixel_grid(like: Tensor) -> Tensor:
    """Return the coordinates of the pixels of (N, C, h, w), (1, 2, h, w)."""
    rows, columns = (
        torch.arange(side, device=like.device, dtype=like.dtype)
        for side in like.shape[-2:]
    )
    return torch.stack(torch.meshgrid(columns, rows, indexing='xy'))[None]
