import sys

import numpy as np
import pytest
import torch

from star.apis.memory import peak_memory, reset_peak_memory

CPU = torch.device('cpu')


def test_peak_counts_what_was_freed() -> None:
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    block = np.ones(200 << 20, np.uint8)
    del block
    assert peak_memory(CPU) - before >= 150 << 20


@pytest.mark.skipif(sys.platform != 'linux', reason='only Linux can forget')
def test_reset_forgets() -> None:
    block = np.ones(200 << 20, np.uint8)
    before = peak_memory(CPU)
    del block
    reset_peak_memory(CPU)
    assert before - peak_memory(CPU) >= 150 << 20
