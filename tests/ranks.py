"""Functions run by several processes of this one, connected on the CPU."""

import os
import socket
import sys
import traceback
from collections.abc import Callable


def run_ranks(work: Callable[[], int | None], ranks: int = 2) -> int:
    """Run a function in each rank, and return the largest exit status.

    Modules are loaded only once, because the ranks are forks. Each has the
    variables that torchrun sets.
    """
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    pids = [_fork(work, rank, ranks, port) for rank in range(ranks)]
    return max(
        os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids
    )


def _fork(work: Callable, rank: int, ranks: int, port: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.environ |= {
        'RANK': str(rank),
        'LOCAL_RANK': str(rank),
        'WORLD_SIZE': str(ranks),
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(port),
    }
    status = 1
    try:
        status = work() or 0
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
