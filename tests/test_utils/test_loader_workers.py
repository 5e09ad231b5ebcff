"""Workers of a data loader, and the signal that ends their run."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from mmengine.runner import FlexibleRunner, Runner
from torch.utils.data import Dataset

from star.utils.loader_workers import keep_workers
from tests.paths import ROOT


class Numbers(Dataset):
    """Gives the process, and a random number of it, as a user's would."""

    def __len__(self) -> int:
        return 50

    def __getitem__(self, item: int) -> tuple[int, int]:
        return os.getpid(), np.random.randint(2**30)


def mark(worker: int, text: str) -> None:
    os.environ['STAR_TEST_MARK'] = f'{text}{worker}'


class Marks(Numbers):
    """Gives what `mark` has left."""

    def __getitem__(self, item: int) -> tuple[int, str]:
        return os.getpid(), os.environ.get('STAR_TEST_MARK', '')


def serve(dataset: Dataset, runner: type = Runner, **settings):
    config = {
        'batch_size': 1,
        'num_workers': 1,
        'prefetch_factor': 1,
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': {'type': 'pseudo_collate'},
        'dataset': dataset,
        **settings,
    }
    keep_workers(config)
    for (worker,), (value,) in runner.build_dataloader(config, seed=1):
        yield worker, value


def test_a_first_sigterm_is_survived() -> None:
    items = serve(Numbers())
    worker, _ = next(items)
    assert worker != os.getpid()
    os.kill(worker, signal.SIGTERM)
    for _ in range(5):
        assert next(items)[0] == worker
    os.kill(worker, signal.SIGTERM)
    with pytest.raises(RuntimeError, match='worker'):
        for _ in range(40):
            next(items)
            time.sleep(0.01)


def test_workers_draw_other_numbers() -> None:
    """Those of mmengine's own function, `disable_subprocess_warning` too."""
    items = serve(Numbers(), num_workers=2, disable_subprocess_warning=True)
    drawn = dict([next(items), next(items)])
    assert len(drawn) == 2  # workers
    assert len(set(drawn.values())) == 2


def test_a_function_of_the_config_is_called() -> None:
    function = {'type': mark, 'text': 'number '}
    assert next(serve(Marks(), worker_init_fn=function))[1] == 'number 0'


def test_a_sharded_run_has_such_workers_too() -> None:
    worker, _ = next(serve(Numbers(), FlexibleRunner))
    assert worker != os.getpid()


def test_a_process_ends_with_its_workers() -> None:
    """Although somebody still holds them, as a Runner does."""
    program = (
        'from tests.test_utils.test_loader_workers import Numbers, serve\n'
        'items = serve(Numbers(), persistent_workers=True)\n'
        'print(next(items)[0])'
    )
    done = subprocess.run(
        [sys.executable, '-c', program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)
