import numpy as np
import pytest
import torch
from einops import rearrange

from star.video.color_fix import adain_color_fix, wavelet_color_fix
from tests.test_reference.vectors import each_vector, thin


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
