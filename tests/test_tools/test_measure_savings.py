"""tools/analysis_tools/measure_savings.py: the table of what options cost."""

import json
from pathlib import Path

import pytest
import torch

from star.evaluation.functional import psnr
from tests.test_apis.clips import write_clip
from tests.test_tools.tools import load_tool

TOOL = 'analysis_tools/measure_savings.py'


def distance(network: object, a: torch.Tensor, b: torch.Tensor) -> float:
    """Stand for LPIPS, whose weights may be missing."""
    return float((a.float() - b.float()).abs().mean())


def test_quality_of_small_weights(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    tool = load_tool(TOOL)
    monkeypatch.setattr(tool, 'lpips', distance)
    monkeypatch.setattr(tool, 'load_lpips', lambda *_: None)
    clip, path = write_clip(tmp_path / 'in.mp4', 3), tmp_path / 'rows.json'
    words = [str(clip), '--frames', '2', '--crop', '24x32']
    words += [
        '--options',
        'quantize=int8',
        'quantize=nf4',
        '--json',
        str(path),
    ]
    assert tool.main(words) == 0
    off, int8, nf4 = json.loads(path.read_text())
    assert off['option'] == 'off' and int8['option'] == 'quantize=int8'
    assert off['psnr_off'] == float('inf') and off['lpips_off'] == 0
    assert off['psnr_off'] > int8['psnr_off'] > nf4['psnr_off'] > 10
    assert 0 < int8['lpips_off'] < nf4['lpips_off']
    assert off['weights_mib'] > int8['weights_mib'] > nf4['weights_mib']
    assert '| quantize=nf4 |' in capsys.readouterr().out
    _, lq = tool.read_pair(clip, tool.parse_args(words))
    assert lq.shape == (2, 3, 6, 8)
    assert psnr(lq, lq) == float('inf')


def test_counts(tmp_path: Path) -> None:
    tool, path = load_tool(TOOL), tmp_path / 'rows.json'
    words = ['--config', 'tiny_cogvideox', '--count', '2x8x8']
    assert tool.main([*words, '--json', str(path)]) == 0
    rows = {
        row['option'].split(':')[0]: row
        for row in json.loads(path.read_text())
    }
    both = rows['off']['tflop']
    one = rows['outside guidance_interval']['tflop']
    assert one == pytest.approx(both / 2)
    again = rows['cache, features taken again']['tflop']
    assert 0.5 * both < again < 0.52 * both  # one of two blocks
    sizes = [
        rows[name]['weights_mib']
        for name in (
            'weights in bfloat16',
            'quantize=int8',
            'quantize=fp8',
            'quantize=nf4',
        )
    ]
    assert sizes[0] > sizes[1] == sizes[2] > sizes[3]


def test_wrong_use(capsys: pytest.CaptureFixture) -> None:
    tool = load_tool(TOOL)
    assert tool.main([]) == 2
    assert 'give clips, or --count' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main(['a.mp4', '--options', 'blend=cut'])
    assert "unknown option 'blend=cut'" in capsys.readouterr().err
