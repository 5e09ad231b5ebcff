"""PSNR, SSIM and LPIPS against other implementations."""

import json
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from star.cli.convert.lpips import convert
from star.evaluation.functional.lpips import lpips
from star.evaluation.functional.psnr import psnr
from star.evaluation.functional.ssim import ssim
from star.perceptual.lpips import load_lpips
from tests.paths import VECTORS, WEIGHTS, needs_vectors

pytestmark = needs_vectors
FOLDER = VECTORS / 'metrics' if VECTORS else None
SCORES = (
    json.loads((FOLDER / 'scores.json').read_text())['full_reference']
    if FOLDER
    else {'none': {}}
)
ONNX = WEIGHTS / 'lpips-squeeze.onnx' if WEIGHTS else None
every_pair = pytest.mark.parametrize('name', SCORES)


@lru_cache
def images() -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for path in sorted(FOLDER.glob('*.npz')):
        found |= dict(np.load(path))
    return found


def clip(name: str) -> Tensor:
    return torch.from_numpy(images()[name]).permute(2, 0, 1)[None]


def pair(name: str) -> tuple[Tensor, Tensor]:
    return clip(name), clip(name.rpartition('_')[0] + '_ref')


@pytest.fixture(scope='module')
def squeeze(tmp_path_factory) -> nn.Module:
    if ONNX is None or not ONNX.is_file():
        pytest.skip('no lpips-squeeze.onnx (set STAR_WEIGHTS)')
    path = tmp_path_factory.mktemp('lpips') / 'squeeze.safetensors'
    convert(ONNX, path)
    return load_lpips(path, 'squeeze')


@every_pair
def test_psnr(name: str):
    pred, gt = pair(name)
    expected = SCORES[name]
    found = [psnr(pred, gt), psnr(pred, gt, 'y')]
    assert found == pytest.approx(
        [
            expected['psnr_rgb_skimage'],
            expected['psnr_y_skimage_bt601studio'],
        ],
        abs=1e-9,
    )
    cropped = [psnr(pred, gt, 'rgb', 4), psnr(pred, gt, 'y', 4)]
    assert cropped == pytest.approx(
        [expected['psnr_rgb_mmagic_crop4'], expected['psnr_y_mmagic_crop4']],
        abs=1e-4,
    )


@every_pair
def test_ssim(name: str):
    pred, gt = pair(name)
    expected = SCORES[name]
    assert ssim(pred, gt) == pytest.approx(
        expected['ssim_rgb_skimage'], abs=1e-10
    )
    found = [ssim(pred, gt, 'y'), ssim(pred, gt, 'y', 4)]
    assert found == pytest.approx(
        [expected['ssim_y_mmagic'], expected['ssim_y_mmagic_crop4']], abs=1e-7
    )


@every_pair
def test_lpips(name: str, squeeze: nn.Module):
    expected = SCORES[name]
    found = lpips(squeeze, *pair(name))
    for source in ('package', 'onnx'):
        assert found == pytest.approx(
            expected[f'lpips_squeeze_{source}'], abs=1e-6
        )
