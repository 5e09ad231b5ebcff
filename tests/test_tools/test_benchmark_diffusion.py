"""tools/analysis_tools/benchmark_diffusion.py on tiny networks."""

import json
import math
from pathlib import Path

import pytest

from tests.test_tools.tools import load_tool

TOOL = load_tool('analysis_tools/benchmark_diffusion.py')
WORDS = ['--size', 'tiny', '--repeat', '1', '--device', 'cpu']


def test_compares_every_method(tmp_path: Path, capsys: pytest.CaptureFixture):
    path = tmp_path / 'costs.json'
    latent = ['--latent', '5x8x8', '--json', str(path)]
    assert TOOL.main([*WORDS, *latent]) == 0
    rows = json.loads(path.read_text())
    assert set(rows) == set(TOOL.PAIRS)
    for row in rows.values():
        assert row['flop'] > 1  # there are layers more than in the plain one
        assert row['tflop'] > 0 and row['seconds'] > 0
        assert row['time'] == row['seconds'] / row['plain']
        expected = row['time'] / row['flop'] - 1
        assert math.isclose(row['overhead'], expected)
    out = capsys.readouterr().out
    assert all(name in out for name in rows)


def test_unknown_methods_are_refused(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as error:
        TOOL.main(['--methods', 'dbvsr'])
    assert error.value.code == 2
    assert 'dbvsr' in capsys.readouterr().err
