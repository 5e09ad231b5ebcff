"""`star train`: plans, several processes, and what is refused."""

import multiprocessing
import os
import re
import signal
import time
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from star.apis.train import plan as training_plan
from star.apis.train.step_memory import StepCost
from star.cli import launch
from star.cli import train as command
from star.engine.checkpointing import save_checkpoint
from star.engine.resuming import describe_config
from star.utils.checkpoint_folder import find_last
from tests.paths import ROOT
from tests.test_cli.conftest import Star
from tests.test_engine.toy import leave_scope, toy_config

TINY = str(ROOT / 'configs' / 'star' / 'tiny.py')
CROP = 'train_dataloader.dataset.pipeline.1'


@pytest.mark.parametrize(
    'config',
    [
        'i2vgen',
        'configs/star/i2vgen.py',
        # half a minute of a training step without numbers, for its memory
        pytest.param('configs/star/i2vgen.py whole', marks=pytest.mark.slow),
    ],
)
def test_plan_of_a_config_by_name_and_by_path(
    star: Star, config: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    config, _, whole = config.partition(' ')
    if not whole:
        ten = 10 * 2**30  # bytes
        monkeypatch.setattr(
            training_plan, 'step_cost', lambda *_: StepCost(ten, 1.0)
        )
    plan = star('train', config, '--dry-run')
    assert plan.code == 0, plan.err
    lines = dict(line.split(maxsplit=1) for line in plan.out.splitlines())
    peak = float(re.search(r'at their peak +(\S+) GiB', plan.out)[1])
    assert 30 < peak < 45 if whole else peak == 7.7  # without gradients
    assert lines['config'].endswith('configs/star/i2vgen.py')
    assert lines['all'].split()[1] > '2'  # 2.5 billion parameters
    assert lines['work'] == 'folder work_dirs/i2vgen'
    assert not (ROOT / 'work_dirs' / 'i2vgen').exists()


def test_options_reach_the_config(star: Star, monkeypatch: pytest.MonkeyPatch):
    plans = []
    monkeypatch.setattr(command, 'describe_plan', lambda *_: '')
    monkeypatch.setattr(
        command, 'plan_training', lambda *args: plans.append(args)
    )
    words = ['--seed', 3, '--work-dir', 'here', '--weights', 'heavy']
    words += ['--cfg-options', 'train_cfg.max_iters=7', '--dry-run']
    assert star('train', 'i2vgen', *words).code == 0
    ((config, weights),) = plans
    assert (config.randomness.seed, config.work_dir) == (3, 'here')
    assert config.train_cfg.max_iters == 7 and weights == 'heavy'


@pytest.mark.parametrize(
    ('words', 'line'),
    [
        (['no_such'], 'no_such'),
        (['bicubic'], 'is not for training'),
        (['bicubic', '--seed', '1'], 'is not for training'),
        ([TINY, '--resume', 'none'], 'none'),
        ([TINY, '--cfg-options', 'modle.x=1'], 'config has no setting'),
        ([TINY, '--cfg-options', 'x'], '--cfg-options takes KEY=VALUE'),
        ([TINY, '--cfg-options', 'model={a: }'], 'model={a: }: no dictionary'),
        ([TINY, '--cfg-options', "x={'a':"], "x={'a':: '{' is not closed"),
        ([TINY, '--cfg-options', f'{CROP}.height=96'], 'e.g. 88, 104 or 120'),
        ([TINY, '--dry-run', '--cfg-options', f'{CROP}.width=8'], 'got 8'),
        ([TINY, '--gpus', '2', '--cfg-options', f'{CROP}.width=8'], 'got 8'),
        ([TINY, '--gpus', '0'], '--gpus: must be a whole number'),
        ([TINY, '--launcher', 'pytorch'], 'use --gpus N'),
        ([TINY, '--launcher', 'mpi'], '--launcher'),
    ],
)
def test_wrong_use(
    star: Star,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    line: str,
):
    monkeypatch.chdir(tmp_path)
    assert line in star('train', *words).error
    assert list(tmp_path.iterdir()) == []


def test_gpus_start_as_many_processes(
    star: Star, monkeypatch: pytest.MonkeyPatch
):
    started = []
    monkeypatch.setattr(launch, 'torchrun', started.append)
    words = [TINY, '--gpus', '2', '--amp']
    assert star('train', *words).code == 0
    assert started == [
        [
            *('--standalone', '--nproc-per-node=2', '-m', 'star', 'train'),
            *(*words, '--launcher', 'pytorch'),
        ]
    ]
    # a started process has both options, and starts no others
    wrong = star('train', *words, '--launcher', 'pytorch').error
    assert 'torchrun' in wrong and len(started) == 1


@pytest.mark.parametrize('signum', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_processes(
    star: Star, monkeypatch: pytest.MonkeyPatch, signum: signal.Signals
):
    def receive(_: list[str]) -> None:
        raise launch.SignalException('received', signum)

    monkeypatch.setattr(launch, 'torchrun', receive)
    assert star('train', TINY, '--gpus', 2).code == 128 + signum


@pytest.mark.parametrize(('ended', 'code'), [(99, 1), (3, 3)])
def test_a_process_that_fails(
    star: Star, monkeypatch: pytest.MonkeyPatch, ended: int, code: int
):
    failure = ProcessFailure(0, 1, ended, '')

    def fail(_: list[str]) -> None:
        raise launch.ChildFailedError('star', {0: failure})

    monkeypatch.setattr(launch, 'torchrun', fail)
    assert star('train', TINY, '--gpus', 2).code == code


@pytest.mark.parametrize('place', ['file', 'file/below'])
def test_a_work_folder_that_is_a_file(star: Star, tmp_path: Path, place: str):
    (tmp_path / 'file').touch()
    error = star('train', TINY, '--work-dir', tmp_path / place).error
    assert f'{tmp_path / "file"} is not a folder' in error


def runner_of(folder: Path, error: Exception) -> MagicMock:
    runner = MagicMock(work_dir=str(folder))
    runner.train.side_effect = error
    return runner


@pytest.mark.parametrize('saved', [True, False])
@pytest.mark.parametrize(
    'error',
    [
        OSError(28, 'No space left on device'),
        OSError('WORK/iter_9 cannot be written: No space left on device'),
        OSError('Caught OSError in worker 0.\nTraceback:\nNo space left'),
    ],
)
def test_a_disk_that_stops_a_training(
    star: Star,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    saved: bool,
):
    if saved:
        save_checkpoint(tmp_path, 3, {}, {})
    runner = runner_of(tmp_path, error)
    monkeypatch.setattr(command, 'build_runner', lambda *_: runner)
    ended = star('train', TINY)
    assert ended.code == 1 and ended.err.count('\n') == 1
    assert 'No space left' in ended.err and str(tmp_path) in ended.err
    kept = f'is {tmp_path}/iter_3' if saved else 'no checkpoint has been saved'
    assert kept in ended.err


def test_the_command_line_names_what_changes(
    star: Star, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = Config.fromfile(TINY)
    state = {
        'config': describe_config(config),
        'iteration': 3,
        'draw': 9,
    }
    folder = save_checkpoint(tmp_path, 3, {}, state)
    words = ['--work-dir', tmp_path, '--dry-run', '--resume']
    plans = []
    monkeypatch.setattr(command, 'describe_plan', lambda *_: '')
    monkeypatch.setattr(command, 'plan_training', lambda *p: plans.append(p))
    assert star('train', TINY, *words).code == 0
    rate = 'optim_wrapper.optimizer.lr=0.25'
    assert star('train', TINY, *words, '--cfg-options', rate).code == 0
    hook = plans[1][0].default_hooks.checkpoint
    assert hook.resume_from == str(folder)
    assert 'optim_wrapper.optimizer.lr' in hook.changes
    assert plans[1][0].train_dataloader.sampler.start == 9
    assert star('train', TINY, *words, '--amp').code == 0
    seed = star('train', TINY, *words, '--seed', 5).error
    assert 'randomness.seed is 0 there and 5 here' in seed
    short = ['--cfg-options', 'train_cfg.max_iters=2']
    assert 'at least 3' in star('train', TINY, *words, *short).error


def test_workers_that_get_ctrl_c_go_on_serving(tmp_path: Path):
    """A terminal sends it to all processes of the group."""

    @HOOKS.register_module(force=True)
    class CtrlCHook(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 3:
                workers = multiprocessing.active_children()
                assert len(workers) == 1
                for pid in (workers[0].pid, os.getpid()):
                    os.kill(pid, signal.SIGINT)
                time.sleep(0.2)
                assert workers[0].is_alive()

    config = toy_config(
        tmp_path,
        9,
        custom_hooks=[{'type': 'CtrlCHook'}],
        **{'train_dataloader.num_workers': 1},
    )
    config.experiment_name = tmp_path.name
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as end:
            command.train(Runner.from_cfg(config))
    finally:
        leave_scope(config)
    assert end.value.code == 130
    assert signal.getsignal(signal.SIGINT) is before
    assert find_last(tmp_path) == tmp_path / 'iter_4'


def test_a_training_that_has_begun_ends_with_its_traceback(
    star: Star, monkeypatch: pytest.MonkeyPatch
):
    runner = MagicMock()
    runner.train.side_effect = ValueError('not a number')
    monkeypatch.setattr(command, 'build_runner', lambda *_: runner)
    ended = star('train', TINY)
    assert ended.code == 1
    assert 'Traceback' in ended.err and 'not a number' in ended.err
