"""tools/analysis_tools/benchmark_overhead.py on a small clip."""

import json
from pathlib import Path

import pytest

from tests.test_apis.clips import write_clip
from tests.test_tools.tools import run_tool


def test_both_ways_are_measured(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / 'in.mkv', 4)
    result = run_tool(
        'analysis_tools/benchmark_overhead.py',
        *(str(clip), '--config', 'bicubic', '--rounds', '1'),
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    ratio = found['whole_seconds'] / found['plain_seconds']
    assert found['ratio_of_seconds'] == pytest.approx(ratio, abs=1e-2)
    assert found['plain_peak_memory'] > 1 << 20
    assert [path.name for path in tmp_path.iterdir()] == ['in.mkv']
