"""tools/analysis_tools/benchmark_metrics.py without the other packages."""

import json
import sys
from pathlib import Path

import pytest

from tests.test_tools.tools import load_tool

TOOL = load_tool('analysis_tools/benchmark_metrics.py')


def test_says_what_it_cannot_compare(
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    for package in ('pyiqa', 'lpips'):
        monkeypatch.setitem(sys.modules, package, None)
    options = ['--size', '64x72', '--frames', '2', '--rounds', '1']
    options += ['--metrics', 'psnr', 'lpips', '--nets', 'squeeze']
    path = tmp_path / 'times.json'
    assert TOOL.main([*options, '--json', str(path)]) == 0
    found = json.loads(path.read_text())
    assert list(found) == ['PSNR, rgb', 'PSNR, y', 'LPIPS, squeeze']
    assert all(list(row) == ['ours'] for row in found.values())
    assert all(row['ours'] > 0 for row in found.values())
    printed = capsys.readouterr().out
    assert 'not compared with pyiqa: `pyiqa` is not installed' in printed
    assert 'not compared with lpips: `lpips` is not installed' in printed
    assert 'LPIPS, squeeze: ' in printed


def test_clips_are_alike():
    pred, gt = TOOL.make_clips(3, 40, 48)
    assert pred.shape == gt.shape == (3, 3, 40, 48)
    # what moves three pixels to the left
    assert (gt[0][..., 3:] == gt[1][..., :-3]).all()
    error = (pred.float() - gt.float()).square().mean()
    assert 30 < error < 80
