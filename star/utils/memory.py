"""What a stretch of work costs: seconds, and peak memory.

Memory is what was allocated on a CUDA device, elsewhere what was resident in
the process.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS = Path('/proc/self/status')
_CLEAR = Path('/proc/self/clear_refs')


@dataclass
class Cost:
    """What a stretch of work took, known once it is done.

    Args:
        seconds: of the clock on the wall.
        peak_memory: bytes, 0 if unknown; see `peak_memory`.
    """

    seconds: float = 0.0
    peak_memory: int = 0


@contextmanager
def measured(device: torch.device) -> Iterator[Cost]:
    """Measure the body.

    Args:
        device: where the work is done.

    Yields:
        The cost, filled in when the body has ended without an exception.
    """
    cost = Cost()
    _wait(device)
    reset_peak_memory(device)
    begin = time.perf_counter()
    yield cost
    _wait(device)
    cost.seconds = time.perf_counter() - begin
    cost.peak_memory = peak_memory(device)


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement, as far as the system can.

    Args:
        device: where the model runs. On a CPU only Linux can forget an
            earlier peak; elsewhere it is the process's since its start.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    elif os.access(_CLEAR, os.W_OK):
        _CLEAR.write_text('5', encoding='utf-8')


def peak_memory(device: torch.device) -> int:
    """Return the peak since `reset_peak_memory`.

    Args:
        device: where the model runs.

    Returns:
        Bytes, 0 if unknown: allocated on a CUDA device, else resident in the
        process.
    """
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists():
        lines = _STATUS.read_text(encoding='utf-8').splitlines()
        peaks = [line.split()[1] for line in lines if line[:5] == 'VmHWM']
        return int(peaks[0]) * 1024 if peaks else 0
    if sys.platform == 'win32':
        return 0
    import resource  # not on Windows

    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _wait(device: torch.device) -> None:
    """Let a GPU finish what it was told: its work is done in passing."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
