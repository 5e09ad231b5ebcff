"""Measure the seconds and the peak memory of some work.

Memory is the memory allocated on a CUDA device; on any other device it is
the resident memory of the process.
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
    """Seconds and memory of some work; zeros until the work has ended.

    Args:
        seconds: elapsed time.
        peak_memory: bytes, 0 if unknown; see `peak_memory`.
    """

    seconds: float = 0.0
    peak_memory: int = 0


@contextmanager
def measure_cost(device: torch.device) -> Iterator[Cost]:
    """Measure the body of a `with` statement.

    Args:
        device: where the work is done.

    Yields:
        The cost, which is set when the body ends without an exception.
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
    """Forget the peak memory so far, where the system can.

    Args:
        device: where the model runs. For a CPU only Linux can forget an
            earlier peak; other systems report the peak since the process
            started.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    elif os.access(_CLEAR, os.W_OK):
        _CLEAR.write_text('5', encoding='utf-8')


def peak_memory(device: torch.device) -> int:
    """Return the peak memory since `reset_peak_memory`.

    Args:
        device: where the model runs.

    Returns:
        Bytes, 0 if unknown: memory allocated on a CUDA device, or resident
        memory of the process.
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
    """Wait for a GPU, which works asynchronously."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
