"""`--fidelity` of the commands that restore."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from star.models.editors import Bicubic
from star.video.fidelity import keep_input
from tests.test_apis.clips import read_clip, write_clip
from tests.test_apis.folders import write_folder
from tests.test_cli.conftest import Star

LOSSLESS = ('--codec', 'ffv1', '--pix-fmt', 'bgr0')


def corrected(src: Path, scale: float, fidelity: float) -> np.ndarray:
    """Restore and correct the frames of a file, (T, H, W, 3)."""
    lq = torch.from_numpy(read_clip(src)[0]).permute(0, 3, 1, 2).contiguous()
    pred = Bicubic(scale).restore(lq)
    pairs = zip(pred, lq, strict=True)
    out = torch.stack([keep_input(*pair, fidelity) for pair in pairs])
    return out.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize('scale', [1, 1.5, 4])
def test_restore(star: Star, tmp_path: Path, scale: float) -> None:
    src, dst = write_clip(tmp_path / 'in.mkv', 4), tmp_path / 'out.mkv'
    words = [src, dst, '--config', 'bicubic', *LOSSLESS, '--scale', scale]
    assert star('restore', *words, '--fidelity', 0.75).code == 0
    found = read_clip(dst)[0]
    np.testing.assert_array_equal(found, corrected(src, scale, 0.75))
    record = json.loads((tmp_path / 'out.mkv.star.json').read_text())
    assert record['key']['options']['fidelity'] == 0.75
    again = star('restore', *words, '--fidelity', 0.75, '--json')
    assert json.loads(again.out)['skipped']


def test_0_is_none(star: Star, tmp_path: Path) -> None:
    src, dst = write_clip(tmp_path / 'in.mkv', 4), tmp_path / 'out.mkv'
    words = [src, dst, '--config', 'bicubic', *LOSSLESS, '--json']
    assert star('restore', *words).code == 0
    record = json.loads((tmp_path / 'out.mkv.star.json').read_text())
    assert 'fidelity' not in record['key']['options']
    same = star('restore', *words, '--fidelity', 0)
    assert json.loads(same.out)['skipped']


@pytest.mark.parametrize('value', ['1.01', '-0.1', 'nan', 'much'])
@pytest.mark.parametrize('command', ['restore', 'plan', 'test'])
def test_wrong_values(star: Star, command: str, value: str) -> None:
    words = ['bicubic'] if command == 'test' else ['in.mkv', 'out.mkv']
    error = star(command, *words, f'--fidelity={value}').error
    rule = 'must be a number of at least 0 and at most 1'
    assert error == f"argument --fidelity: {rule}, got '{value}'"


def test_plan(star: Star, tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 3)
    words = [src, '--config', 'bicubic', '--no-time', '--fidelity', 0.5]
    assert '32x24 -> 128x96, fidelity 0.5\n' in star('plan', *words).out
    found = json.loads(star('plan', *words, '--json').out)
    assert found['options']['fidelity'] == 0.5


def test_test(star: Star, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_folder(tmp_path / 'clips', 'a')
    words = ['--set', f'mine={root}', '--metrics', 'PSNR']
    words += ['--cfg-options', 'test_dataloader.num_workers=0']
    scores = {}
    for value in (0, 1):
        given = ['--fidelity', value, '--save', 'png']
        assert star('test', 'bicubic', *words, *given).code == 0
        name = 'bicubic_fidelity_1' if value else 'bicubic'
        folder = tmp_path / 'work_dirs' / 'test' / name
        found = json.loads((folder / 'results.json').read_text())
        assert found['method']['options'].get('fidelity', 0) == value
        assert found['method']['name'] == name
        scores[value] = found['sets']['mine']['scores']['PSNR']
    assert scores[0] != scores[1]
    saved = ['--results', folder / 'restored', '--fidelity', 1]
    error = star('test', 'saved_results', *words, *saved).error
    assert '`fidelity` means nothing to SavedResults' in error
