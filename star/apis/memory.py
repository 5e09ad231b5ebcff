"""Peak memory of a stretch of work: resident on a CPU, allocated on a GPU."""

import os
import sys
from pathlib import Path

import torch

_STATUS = Path('/proc/self/status')
_CLEAR = Path('/proc/self/clear_refs')


def reset_peak_memory(device: torch.device) -> None:
    """Start a new measurement, as far as the system can.

    Args:
        device: where the model runs. On a CPU only Linux can forget an
            earlier peak; elsewhere it is the process's since its start.
    """
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    elif os.access(_CLEAR, os.W_OK):
        _CLEAR.write_text('5')


def peak_memory(device: torch.device) -> int:
    """Return the peak since `reset_peak_memory`.

    Args:
        device: where the model runs.

    Returns:
        Bytes: allocated on a CUDA device, else resident in the process.
    """
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    return _peak_resident()


def _peak_resident() -> int:
    if _STATUS.exists():
        lines = _STATUS.read_text().splitlines()
        peak = next(line for line in lines if line.startswith('VmHWM'))
        return int(peak.split()[1]) * 1024
    import resource  # not on Windows

    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
