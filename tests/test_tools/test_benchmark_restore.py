"""tools/analysis_tools/benchmark_restore.py on a tiny clip."""

import pytest

from tests.paths import ROOT
from tests.test_tools.tools import run_tool


def test_methods_in_turn() -> None:
    result = run_tool(
        'analysis_tools/benchmark_restore.py',
        *('--clips', '2x16x12', '--rounds', '1', '--threads', '1'),
        *('--config', 'bicubic', '--before', str(ROOT)),
        *('--others', 'tiny_compact=random'),
    )
    assert result.returncode == 0, result.stderr
    head, _, *rows = result.stdout.splitlines()
    assert head.startswith('| clip | method | seconds |')
    cells = [[cell.strip() for cell in row.split('|')[1:-1]] for row in rows]
    names = ['now', 'before', 'plain', 'tiny_compact=random']
    assert [row[1] for row in cells] == names
    assert {row[0] for row in cells} == {'2 x 16x12'}
    assert cells[0][4] == '1.00'
    for row in cells:
        assert float(row[2]) >= 0
        assert 0.05 < float(row[5].removesuffix(' GiB')) < 4


@pytest.mark.slow
def test_a_checkout_that_fails_is_named() -> None:
    result = run_tool(
        'analysis_tools/benchmark_restore.py',
        *('--clips', '1x16x12', '--rounds', '1', '--no-plain'),
        *('--config', 'nothing'),
    )
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith('error: now: failed')
