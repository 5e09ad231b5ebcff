"""tools/analysis_tools/benchmark_baselines.py, with and without the others."""

import json
import sys
from pathlib import Path

import pytest
import torch

from tests.test_tools.tools import load_tool

TOOL = load_tool('analysis_tools/benchmark_baselines.py')
SMALL = ['--size', '64x66', '--frames', '1', '--rounds', '1']
SMALL += ['--threads', '1', '--methods', 'realesr_animevideov3']


@pytest.fixture(autouse=True)
def same_threads():
    """Put back the number of threads that the tool sets."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_compares_with_spandrel(tmp_path: Path, capsys):
    pytest.importorskip('spandrel')
    path = tmp_path / 'times.json'
    assert TOOL.main([*SMALL, '--json', str(path)]) == 0
    row = json.loads(path.read_text())['realesr_animevideov3']
    assert row['ours'] > 0 and row['spandrel'] > 0
    assert 0 < row['difference'] < 1e-5
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith('| realesr_animevideov3 | ')
    assert f'{row["ours"] / row["spandrel"]:.2f}' in line


def test_says_what_it_cannot_compare(capsys, monkeypatch):
    for package in ('spandrel', 'mmagic'):
        monkeypatch.setitem(sys.modules, package, None)
    assert TOOL.main([*SMALL, 'realbasicvsr']) == 0
    printed = capsys.readouterr().out
    assert 'compared with nothing: `spandrel` is not installed' in printed
    assert 'realbasicvsr is left out: `mmagic` is not installed' in printed
    assert '| realesr_animevideov3 | ' in printed


def test_tells_results_that_differ(monkeypatch):
    wrong = {
        'ours': lambda: torch.ones(2),
        'spandrel': lambda: torch.tensor([1.0, 1.001]),
    }
    monkeypatch.setattr(TOOL, 'make_runs', lambda model, x: wrong)
    assert TOOL.main(SMALL) == 1


@pytest.mark.parametrize('size', ['62x64', '64x65', '64'])
def test_refuses_sizes(size: str, capsys):
    with pytest.raises(SystemExit) as caught:
        TOOL.main(['--size', size])
    assert caught.value.code == 2
    assert '--size' in capsys.readouterr().err
