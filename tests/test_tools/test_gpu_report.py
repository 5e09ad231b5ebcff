"""tools/analysis_tools/gpu_report.py, on the CPU with small networks."""

import json
from pathlib import Path

import pytest

from tests.test_tools.tools import load_tool

tool = load_tool('analysis_tools/gpu_report.py')


def arguments(folder: Path, *more: str) -> list[str]:
    words = ['--out', str(folder), '--device', 'cpu', '--tiny']
    return [*words, '--repeat', '1', *more]


def rows_of(folder: Path, group: str) -> list[dict]:
    assert tool.main(arguments(folder, '--run', group)) == 0
    lines = (folder / f'{group}.jsonl').read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_rows_of_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool.nn.Module, 'compile', lambda _: None)
    found = {}
    for group in ('cogvideox', 'training'):
        for row in rows_of(tmp_path, group):
            found[f'{group}, {row["name"]}'] = row
    default = found['cogvideox, default']
    # the same operations in each row, and all of them done
    assert found['cogvideox, compile']['tflop'] == default['tflop']
    assert found['cogvideox, attention flash']['tflop'] == default['tflop']
    assert default['rate'] == default['tflop'] / default['seconds']
    # a kernel that does not run here loses its row only
    assert (
        "'cudnn' does not run" in found['cogvideox, attention cudnn']['error']
    )
    # backward takes at least as much as forward
    assert found['training, I2VGen, one step']['tflop'] > 1e-4


def test_report_of_a_process(tmp_path: Path) -> None:
    assert tool.main(arguments(tmp_path, '--only', 'matmul')) == 0
    report = json.loads((tmp_path / 'report.json').read_text())
    assert report['measured_on'].startswith('cpu, torch 2')
    assert 'tiny networks' in report['measured_on']
    (row,) = report['rows']
    assert row['tflop'] == pytest.approx(2 * 256**3 / 1e12)
    table = (tmp_path / 'report.md').read_text().splitlines()
    assert table[-1].startswith('| matmul | 256 x 256 matrices |')
    assert '| 100 % |' in table[-1]


def test_time_runs_out(tmp_path: Path) -> None:
    words = ['--only', 'matmul', 'training', '--minutes', '0.001']
    assert tool.main(arguments(tmp_path, *words)) == 1
    text = (tmp_path / 'report.md').read_text()
    assert text.count('stopped after 1 s') == 2


def test_wrong_device(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ['--out', str(tmp_path / 'no'), '--device', 'abacus']
    assert tool.main(words) == 2
    assert "`device` 'abacus' cannot be used" in capsys.readouterr().err
    assert not (tmp_path / 'no').exists()
