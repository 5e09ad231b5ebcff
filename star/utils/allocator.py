"""Settings of glibc's allocator for the large blocks that tensors live in."""

import ctypes
import os
import platform
from collections.abc import Mapping
from contextlib import suppress

# parameters of mallopt(3), as in <malloc.h>
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_ARENA_MAX = -8
_NEVER = 2**31 - 1  # mallopt takes an int
_GIB, _MIB = 2**30, 2**20


def keep_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Let this process keep the memory of tensors that are freed.

    glibc maps a block of 32 MiB or more anew for each tensor, unmaps it when
    the tensor is freed, and gives the end of its heap back as often. The next
    layer then takes every page from the kernel again: a third to a half of
    the time of a network with large tensors. Here blocks below 1 GiB come
    from one heap, which only grows. One, because a thread's own heaps hold no
    block above 64 MiB, and what one thread frees another cannot use.

    Call it before other threads begin: glibc gives a thread its heap once.
    Results do not change.

    Args:
        environment: of the process. A user who chose settings of an allocator
            there keeps them.

    Returns:
        Whether it had an effect: False where the C library is no glibc, or
        the user has chosen.
    """
    if _is_chosen(environment) or platform.libc_ver()[0] != 'glibc':
        return False
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is None:
        return False
    if not mallopt(_MMAP_THRESHOLD, _GIB):
        # before 2.35 glibc took 32 MiB at most; without maps there is no limit
        mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _NEVER)
    mallopt(_TOP_PAD, 64 * _MIB)
    mallopt(_ARENA_MAX, 1)
    return True


def give_memory_back() -> None:
    """Return what was freed to the system, where the C library is glibc.

    A heap that only grows has holes, which blocks of other sizes do not fit
    into. Call it where one kind of work ends and another begins.
    """
    with suppress(OSError, TypeError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _is_chosen(environment: Mapping[str, str]) -> bool:
    """Return whether a variable sets up malloc, or loads another one."""
    named = any(name.startswith('MALLOC_') for name in environment)
    tuned = 'glibc.malloc' in environment.get('GLIBC_TUNABLES', '')
    return named or tuned or 'malloc' in environment.get('LD_PRELOAD', '')
