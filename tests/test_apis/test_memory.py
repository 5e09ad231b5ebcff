import subprocess
import sys

import pytest
import torch

CPU = torch.device('cpu')


def run_alone(lines: str) -> None:
    """Run in a process of its own: other tests' memory is not in the way."""
    code = (
        'import numpy as np, torch\n'
        'from star.apis.memory import peak_memory, reset_peak_memory\n'
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
