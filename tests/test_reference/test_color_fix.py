import numpy as np
import pytest
import torch
from einops import rearrange

from star.video.color_fix import (
    IMAGE_COLOR_FIXES,
    adain_color_fix,
    wavelet_color_fix,
)
from tests.test_reference.vectors import each_vector, find_vectors, thin


@each_vector('color_fix/*.npz')
@pytest.mark.parametrize(
    'name, fix',
    [
        ('adain_thwc_0_255', adain_color_fix),
        ('wavelet_thwc_0_255', wavelet_color_fix),
    ],
)
def test_color_fix(path, name, fix):
    data = np.load(path)
    pred = torch.from_numpy(data['pred_thwc_0_255']) / 127.5 - 1
    lq = torch.from_numpy(data['lq_tchw_pm1'])
    out = fix(rearrange(pred, 't h w c -> t c h w'), lq)
    out = thin(((out + 1) * 127.5).clamp(0, 255), data)
    expected = rearrange(data[name], 't h w c -> t c h w')
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize('kind', ['adain', 'wavelet'])
@pytest.mark.parametrize(
    ('pattern', 'names', 'atol'),
    [
        ('stablesr/colorfix*.npz', ('content', 'style'), 1e-6),
        ('upscale_a_video/color_fix*.npz', ('out', 'lr_x4'), 2e-5),
        ('mgld_vsr/color_fix*.npz', ('out', 'lq'), 2e-5),
    ],
)
def test_other_methods(pattern, names, atol, kind):
    paths = find_vectors(pattern)
    if not paths:
        pytest.skip(f'no {pattern} (set STAR_VECTORS)')
    for path in paths:
        data = np.load(path)
        pred, lq = (torch.from_numpy(data[name]) for name in names)
        found = IMAGE_COLOR_FIXES[kind](pred, lq)
        np.testing.assert_allclose(found, data[kind], rtol=1e-6, atol=atol)
