import subprocess
import sys
import time

import pytest
import torch

from star.utils.memory import measure_cost

CPU = torch.device('cpu')


def run_alone(lines: str) -> None:
    """Run in a process of its own: other tests' memory is not in the way."""
    code = (
        'import numpy as np, torch\n'
        'from star.utils.memory import measure_cost, peak_memory\n'
        'from star.utils.memory import reset_peak_memory\n'
        "CPU = torch.device('cpu')\n" + lines
    )
    subprocess.run([sys.executable, '-c', code], check=True)


def test_peak_counts_what_was_freed() -> None:
    run_alone(
        'reset_peak_memory(CPU)\n'
        'before = peak_memory(CPU)\n'
        'block = np.ones(200 << 20, np.uint8)\n'
        'del block\n'
        'assert peak_memory(CPU) - before >= 150 << 20'
    )


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux can forget')
def test_reset_forgets() -> None:
    run_alone(
        'block = np.ones(200 << 20, np.uint8)\n'
        'before = peak_memory(CPU)\n'
        'del block\n'
        'reset_peak_memory(CPU)\n'
        'assert before - peak_memory(CPU) >= 150 << 20'
    )


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux can forget')
def test_measures_only_the_body() -> None:
    run_alone(
        'block = np.ones(400 << 20, np.uint8)\n'
        'del block\n'
        'with measure_cost(CPU) as cost:\n'
        '    block = np.ones(200 << 20, np.uint8)\n'
        '    del block\n'
        'now = peak_memory(CPU)\n'
        'with measure_cost(CPU) as idle:\n'
        '    pass\n'
        'assert cost.peak_memory - idle.peak_memory > 150 << 20\n'
        'assert now - idle.peak_memory < 300 << 20'
    )


def test_seconds_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 102.5])
    monkeypatch.setattr(time, 'perf_counter', lambda: next(now))
    with measure_cost(CPU) as cost:
        assert cost.seconds == 0
    assert cost.seconds == 2.5
