"""`star train`: plans, several processes, and what is refused."""

from pathlib import Path
from unittest.mock import MagicMock

import pytest

from star.cli import launch
from star.cli import train as command
from tests.paths import ROOT
from tests.test_cli.conftest import Star

TINY = str(ROOT / 'configs' / 'star' / 'tiny.py')


@pytest.mark.parametrize('config', ['i2vgen', 'configs/star/i2vgen.py'])
def test_plan_of_a_config_by_name_and_by_path(
    star: Star, config: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(ROOT)
    plan = star('train', config, '--dry-run')
    assert plan.code == 0, plan.err
    lines = dict(line.split(maxsplit=1) for line in plan.out.splitlines())
    assert lines['config'].endswith('configs/star/i2vgen.py')
    assert lines['all'].split()[1] > '2'  # 2.5 billion parameters
    assert lines['work'] == 'folder work_dirs/i2vgen'
    assert not (ROOT / 'work_dirs' / 'i2vgen').exists()


def test_options_reach_the_config(star: Star, monkeypatch: pytest.MonkeyPatch):
    plans = []
    monkeypatch.setattr(command, 'describe_plan', str)
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
        ([TINY, '--resume', 'none'], 'none'),
        ([TINY, '--cfg-options', 'modle.x=1'], 'config has no setting'),
        ([TINY, '--cfg-options', 'x'], '--cfg-options takes KEY=VALUE'),
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


def test_a_process_that_fails(star: Star, monkeypatch: pytest.MonkeyPatch):
    def fail(_: list[str]) -> None:
        raise launch.ChildFailedError('star', {})

    monkeypatch.setattr(launch, 'torchrun', fail)
    assert star('train', TINY, '--gpus', 2).code == 1


def test_a_training_that_has_begun_ends_with_its_traceback(
    star: Star, monkeypatch: pytest.MonkeyPatch
):
    runner = MagicMock()
    runner.train.side_effect = ValueError('not a number')
    monkeypatch.setattr(command, 'build_runner', lambda *_: runner)
    ended = star('train', TINY)
    assert ended.code == 1
    assert 'Traceback' in ended.err and 'not a number' in ended.err
