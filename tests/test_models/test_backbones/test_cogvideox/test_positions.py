import pytest
import torch
from diffusers.models.embeddings import (
    apply_rotary_emb,
    get_3d_rotary_pos_embed,
    get_3d_sincos_pos_embed,
)

from star.models.backbones.cogvideox.positions import (
    rope_table,
    rotate,
    sincos_table,
)

CPU = torch.device('cpu')
GRIDS = [(1, 1, 1), (4, 6, 7), (7, 30, 45), (2, 9, 3)]


@pytest.mark.parametrize('grid', GRIDS)
def test_rope_table_is_diffusers(grid):
    table = rope_table(grid, 5, 64, CPU)
    frames, *size = grid
    cos, sin = get_3d_rotary_pos_embed(64, ((0, 0), size), size, frames)
    assert (table[:5] == 1).all()
    found = table[5:, 0].repeat_interleave(2, -1)
    torch.testing.assert_close(found.real, cos, rtol=0, atol=1e-6)
    torch.testing.assert_close(found.imag, sin, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ('dtype', 'tolerance'), [(torch.float32, 1e-6), (torch.bfloat16, 0)]
)
def test_rotate_is_diffusers(dtype, tolerance):
    grid = (2, 3, 4)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 24, 3, 32, generator=generator).to(dtype)
    rope = get_3d_rotary_pos_embed(32, ((0, 0), (3, 4)), (3, 4), 2)
    expected = apply_rotary_emb(x.transpose(1, 2), rope).transpose(1, 2)
    found = rotate(x, rope_table(grid, 0, 32, CPU))
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize('grid', GRIDS)
def test_sincos_table_is_diffusers(grid):
    frames, height, width = grid
    table = get_3d_sincos_pos_embed(48, (width, height), frames, 1.875)
    expected = table.flatten(0, 1).float()
    found = sincos_table(grid, 48, CPU)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
