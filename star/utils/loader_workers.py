"""Workers of a data loader that outlive the signal that ends their run."""

import atexit
import multiprocessing
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from mmengine.dataset import worker_init_fn
from mmengine.dist import get_rank
from mmengine.registry import FUNCTIONS
from torch.utils.data import get_worker_info


def keep_workers(loader: dict[str, Any]) -> None:
    """Let the workers of a loader go on after a first SIGTERM.

    A batch system sends it to all processes of a run. The training saves and
    ends by itself then; a worker that ended at once would make it fail first.

    Args:
        loader: config of a data loader for mmengine's Runner, which is
            changed.
    """
    atexit.unregister(_end_workers)  # once is enough
    atexit.register(_end_workers)
    config = dict(loader.get('worker_init_fn') or {})
    kind = config.pop('type', None)
    loader['worker_init_fn'] = {
        'type': start_worker.__name__,  # a sharded run's runner takes texts
        'rank': get_rank(),
        'quiet': loader.pop('disable_subprocess_warning', False),
        'kind': FUNCTIONS.get(kind) if isinstance(kind, str) else kind,
        'config': config,
    }


@FUNCTIONS.register_module()
def start_worker(
    worker: int,
    rank: int,
    quiet: bool,
    kind: Callable | None,
    config: dict[str, Any],
) -> None:
    """Begin a worker, in its process.

    Args:
        worker: its number.
        rank: of the process that it serves.
        quiet: no warnings from workers but the first.
        kind: the config's own function; None for mmengine's, which sets the
            seeds.
        config: arguments of `kind`.
    """
    signal.signal(signal.SIGTERM, _stay_once)
    if kind is not None:
        kind(worker, **config)
        return
    info = get_worker_info()
    assert info is not None
    seed = (info.seed - worker) % 2**31
    worker_init_fn(worker, info.num_workers, rank, seed, quiet)


def _stay_once(signum: int, frame: FrameType | None) -> None:
    """Ignore a signal; the next one ends the process."""
    signal.signal(signum, signal.SIG_DFL)


def _end_workers() -> None:
    """Send workers that are left their first SIGTERM.

    Python sends one as it ends, and waits. It calls last what was registered
    first, so its own comes after this one.
    """
    for process in multiprocessing.active_children():
        if process.daemon:
            process.terminate()
