"""Warping along optical flow, for methods that align frames."""

import torch
from torch import Tensor
from torch.nn import functional as F

PADDINGS = ('zeros', 'border')
MODES = ('bilinear', 'nearest')


def flow_warp(
    x: Tensor, flow: Tensor, padding: str = 'zeros', mode: str = 'bilinear'
) -> Tensor:
    """Warp frames: sample each pixel where the flow points.

    Positions are computed in float32 or finer, because bfloat16 has no odd
    numbers above 256.

    Args:
        x: (N, C, h, w).
        flow: (N, 2, h, w), pixels, to the right and down: pixel (i, j) of
            the result is `x` at row i + flow[:, 1], column j + flow[:, 0].
        padding: 'zeros' outside, or 'border' to replicate the borders.
        mode: 'bilinear' between pixels, or the 'nearest' pixel.

    Returns:
        (N, C, h, w), of the dtype of `x`.

    Raises:
        ValueError: an unknown `padding` or `mode`, or a flow of another size.
    """
    if padding not in PADDINGS:
        raise ValueError(f'`padding` must be in {PADDINGS}, got {padding!r}')
    if mode not in MODES:
        raise ValueError(f'`mode` must be in {MODES}, got {mode!r}')
    n, _, height, width = x.shape
    if flow.shape != (n, 2, height, width):
        raise ValueError(
            f'`flow` must be {(n, 2, height, width)} for `x` of '
            f'{tuple(x.shape)}, got {tuple(flow.shape)}'
        )
    dtype = torch.promote_types(
        torch.float32, torch.promote_types(x.dtype, flow.dtype)
    )
    flow = flow.to(dtype)
    rows = torch.arange(height, dtype=dtype, device=x.device)
    columns = torch.arange(width, dtype=dtype, device=x.device)
    # the corners of the outer pixels' centres are -1 and 1
    grid = torch.stack(
        [
            (columns + flow[:, 0]) * (2 / max(width - 1, 1)) - 1,
            (rows[:, None] + flow[:, 1]) * (2 / max(height - 1, 1)) - 1,
        ],
        dim=-1,
    )
    warped = F.grid_sample(
        x.to(dtype),
        grid,
        mode=mode,
        padding_mode=padding,
        align_corners=True,
    )
    return warped.to(x.dtype)
