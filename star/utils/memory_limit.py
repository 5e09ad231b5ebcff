"""The memory that a process may take: of machine, container and GPU."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

_PROC, _GROUPS = Path('/proc'), Path('/sys/fs/cgroup')
_UNLIMITED = 2**60  # cgroup v1 writes a number near 2**63


def free_memory(device: torch.device) -> int | None:
    """Return the bytes that a process can still take.

    Args:
        device: a CPU stands for the memory of the machine, less where the
            process is in a container with a limit of its own.

    Returns:
        None where the system does not say.
    """
    if device.type == 'cuda':
        free, _ = torch.cuda.mem_get_info(device)
        # what torch has reserved and does not use can be used again
        reserved = torch.cuda.memory_reserved(device)
        return free + reserved - torch.cuda.memory_allocated(device)
    found = [_available(_PROC), *_left_in_groups(_PROC, _GROUPS)]
    known = [number for number in found if number is not None]
    return min(known, default=None)


def memory_of_process() -> int:
    """Return the resident bytes of this process, 0 if unknown."""
    return _field(_PROC / 'self' / 'status', 'VmRSS') or 0


def _available(proc: Path) -> int | None:
    """Return what the machine can give without swapping."""
    return _field(proc / 'meminfo', 'MemAvailable')


def _left_in_groups(proc: Path, root: Path) -> Iterator[int]:
    """Yield what each control group around this process leaves.

    A group without a limit is left out. In a container the path of the group
    may not exist: its own group is the root then.
    """
    for line in _read(proc / 'self' / 'cgroup').splitlines():
        number, controllers, path = line.split(':', 2)
        if number == '0':  # version 2
            base, names = root, ('memory.max', 'memory.current')
            cached = 'inactive_file'
        elif 'memory' in controllers.split(','):
            base = root / 'memory'
            names = 'memory.limit_in_bytes', 'memory.usage_in_bytes'
            cached = 'total_inactive_file'
        else:
            continue
        own = base / path.lstrip('/')
        for folder in (own, *own.parents):
            limit = _number(folder / names[0])
            if limit is not None and limit < _UNLIMITED:
                used = _number(folder / names[1]) or 0
                # files that the kernel drops before it kills
                files = _field(folder / 'memory.stat', cached, 1) or 0
                yield max(0, limit - max(0, used - files))
            if folder == base:
                break


def _field(path: Path, name: str, unit: int = 1024) -> int | None:
    """Read a number from lines of names and numbers."""
    for line in _read(path).splitlines():
        words = line.replace(':', ' ').split()
        if len(words) > 1 and words[0] == name:
            return int(words[1]) * unit
    return None


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None  # `max`: no limit


def _read(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_text(encoding='utf-8')
    return ''
