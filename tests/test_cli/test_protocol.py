"""`star test --protocol`: its metrics, with values computed apart."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from star.cli.main import main
from tests.paths import ROOT
from tests.test_apis.folders import write_folder
from tests.test_evaluation.test_functional.test_ssim import clamped

SAVED = ROOT / 'configs' / 'saved_results' / 'saved_results.py'


def frames(folder: Path) -> np.ndarray:
    """Read a folder's frames, (T, H, W, 3) RGB."""
    images = [cv2.imread(str(path)) for path in sorted(folder.iterdir())]
    return np.stack(images)[..., ::-1].astype(float)


def luma(images: np.ndarray) -> np.ndarray:
    """Convert as pyiqa does: in float32, which decides how .5 is rounded."""
    red, green, blue = np.moveaxis(np.float32(images) / np.float32(255), -1, 0)
    weights = np.float32([0.299, 0.587, 0.114])
    total = weights[0] * red + weights[1] * green + weights[2] * blue
    return np.round(total * np.float32(255)).astype(float)


@pytest.fixture
def call(monkeypatch, capfd, tmp_path):
    """Run `star test` on saved results; give exit code and errors."""
    root = write_folder(tmp_path / 'clips', 'ab')
    results = tmp_path / 'results' / 'UDM10'
    for name in 'ab':
        (results / name).mkdir(parents=True)
        for path in sorted((root / 'gt' / name).iterdir()):
            image = cv2.GaussianBlur(cv2.imread(str(path)), (5, 5), 1)
            cv2.imwrite(str(results / name / path.name), image)
    monkeypatch.chdir(tmp_path)

    def run(*words):
        capfd.readouterr()
        code = main(
            [
                *('test', str(SAVED), '--protocol', 'dove'),
                *('--results', str(results.parent), '--work-dir', 'work'),
                *('--set', f'UDM10={root}', *words),
            ]
        )
        return code, capfd.readouterr().err

    return run, root, results


def test_values_of_dove(call, tmp_path: Path):
    run, root, results = call
    code, errors = run('--metrics', 'PSNR', 'SSIM')
    assert code == 0, errors
    found = json.loads((tmp_path / 'work' / 'results.json').read_text())
    scores = found['sets']['UDM10']['scores']
    expected = []
    for name in 'ab':
        gt, pred = frames(root / 'gt' / name), frames(results / name)
        error = ((gt - pred) ** 2).mean((1, 2, 3))
        structure = map(clamped, luma(pred), luma(gt))
        psnr = 10 * np.log10(255**2 / error)
        expected.append([psnr.mean(), np.mean([*structure])])
    psnr, ssim = np.mean(expected, 0)
    assert scores.keys() == {'PSNR', 'SSIM_YIQ'}
    assert scores['PSNR'] == pytest.approx(psnr, abs=1e-6)
    assert scores['SSIM_YIQ'] == pytest.approx(ssim, abs=1e-9)


def test_options_change_the_protocol(call, tmp_path: Path):
    """--cfg-options are applied to the protocol, not to what it replaces."""
    run, *_ = call
    words = ('--cfg-options', 'test_evaluator.1.border=4')
    assert run('--metrics', 'SSIM', *words)[0] == 0
    found = json.loads((tmp_path / 'work' / 'results.json').read_text())
    (metric,) = found['protocol']['metrics']
    assert metric['options']['channel'] == 'yiq'
    assert metric['options']['border'] == 4


def test_refuses_an_unknown_protocol(capfd):
    code = main(['test', 'bicubic', '--protocol', 'star'])
    err = capfd.readouterr().err
    assert code == 2
    assert err.strip() == "error: there is no protocol 'star', only dove"
