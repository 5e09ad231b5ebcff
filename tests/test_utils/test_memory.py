import json
import subprocess
import sys
import time

import pytest
import torch

from star.utils.memory import measure_cost

CPU = torch.device('cpu')


only_linux = pytest.mark.skipif(
    sys.platform != 'linux', reason='only Linux can forget'
)
# run in processes of their own: other tests' memory is not in the way
CHECKS = {
    'counts': (
        'reset_peak_memory(CPU)\n'
        'before = peak_memory(CPU)\n'
        'block = np.ones(200 << 20, np.uint8)\n'
        'del block\n'
        'assert peak_memory(CPU) - before >= 150 << 20'
    ),
    'forgets': (
        'block = np.ones(200 << 20, np.uint8)\n'
        'before = peak_memory(CPU)\n'
        'del block\n'
        'reset_peak_memory(CPU)\n'
        'assert before - peak_memory(CPU) >= 150 << 20'
    ),
    'body': (
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
    ),
}
# torch is loaded once
RUN = """
import json, os, sys
import numpy as np, torch
from star.utils.memory import measure_cost, peak_memory, reset_peak_memory
CPU = torch.device('cpu')
for name, code in json.load(sys.stdin).items():
    pid = os.fork()
    if pid == 0:
        exec(code)
        print(name, flush=True)
        os._exit(0)
    os.waitpid(pid, 0)
"""


@pytest.fixture(scope='module')
def held() -> subprocess.CompletedProcess:
    """The names of the checks that held, and the errors of the others."""
    return subprocess.run(
        [sys.executable, '-c', RUN],
        input=json.dumps(CHECKS),
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    'name',
    [
        'counts',
        pytest.param('forgets', marks=only_linux),
        pytest.param('body', marks=only_linux),
    ],
)
def test_peak_of_memory(name: str, held: subprocess.CompletedProcess) -> None:
    assert name in held.stdout.split(), held.stderr


def test_seconds_of_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.0, 102.5])
    monkeypatch.setattr(time, 'perf_counter', lambda: next(now))
    with measure_cost(CPU) as cost:
        assert cost.seconds == 0
    assert cost.seconds == 2.5
