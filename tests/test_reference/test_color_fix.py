import numpy as np
import pytest
import torch
from einops import rearrange

from star.video.color_fix import adain_color_fix, wavelet_color_fix
from tests.paths import VECTORS, needs_vectors

pytestmark = needs_vectors
FILES = sorted((VECTORS / 'color_fix').glob('*.npz')) if VECTORS else [None]


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.stem if p else 'none')
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
    out = ((out + 1) * 127.5).clamp(0, 255)
    out = rearrange(out, 't c h w -> t h w c')
    np.testing.assert_allclose(out, data[name], rtol=0, atol=1e-3)
