"""Functions run by several processes of this one, connected on the CPU."""

import os
import sys
import traceback
from collections.abc import Callable

from torch.distributed import TCPStore


def host_store() -> TCPStore:
    """Start the store at which ranks meet, at a port that is free.

    Ranks that get `rank_variables` need this process while they run.
    """
    return TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)


def rank_variables(store: TCPStore, rank: int, ranks: int) -> dict[str, str]:
    """Return the variables that torchrun sets for a rank."""
    return {
        'RANK': str(rank),
        'LOCAL_RANK': str(rank),
        'WORLD_SIZE': str(ranks),
        'MASTER_ADDR': store.host,
        'MASTER_PORT': str(store.port),
        'TORCHELASTIC_USE_AGENT_STORE': 'True',
    }


def run_ranks(work: Callable[[], int | None], ranks: int = 2) -> int:
    """Run a function in each rank, and return the largest exit status.

    Modules are loaded only once, because the ranks are forks.
    """
    store = host_store()
    pids = [
        _fork(work, rank_variables(store, rank, ranks))
        for rank in range(ranks)
    ]
    return max(
        os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids
    )


def _fork(work: Callable, variables: dict[str, str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.environ |= variables
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
