"""Training and testing in two processes, with the users' commands."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.device import utils
from safetensors.torch import load_file

from star.cli.main import main as star
from tests.paths import ROOT
from tests.test_apis.folders import psnr, write_folder

# networks and clips of a size that takes seconds
CHANGES = {
    'model.backbone.sizes.dim': 32,
    'model.controlnet.sizes.dim': 32,
    'model.backbone.sizes.dim_mult': [1],
    'model.controlnet.sizes.dim_mult': [1],
    'model.backbone.sizes.head_dim': 16,
    'model.controlnet.sizes.head_dim': 16,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'train_dataloader.dataset.num_frames': 2,
    'train_dataloader.dataset.pipeline.1.height': 24,
    'train_dataloader.dataset.pipeline.1.width': 32,
    'train_cfg.max_iters': 3,
    'default_hooks.checkpoint.interval': 1,
    'default_hooks.checkpoint.max_keep': 3,
    'visualizer.vis_backends': '[]',
    # rounding must not decide a step's direction
    'optim_wrapper.optimizer.lr': 1,
    'optim_wrapper.optimizer.eps': 1,
}


METRICS = ('PSNR', 'SSIM', 'Brightness')  # the last needs no ground truth


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = write_folder(tmp_path / 'clips', 'abc', frames=3)
    (clips / 'text').mkdir()
    for name in 'abc':
        (clips / 'text' / f'{name}.txt').write_text('')
    return tmp_path


def run(command: list, *arguments: object) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        'PYTHON': sys.executable,
        'OMP_NUM_THREADS': '1',
        'CUDA_VISIBLE_DEVICES': '',
    }
    return subprocess.run(
        [*map(str, command), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def options_of(work_dir: Path, **changes: object) -> list[str]:
    """Return the options of a training into a folder beside the clips."""
    values = {
        **CHANGES,
        'train_dataloader.dataset.data_root': work_dir.parent / 'clips',
        **{f'train_dataloader.{k}': v for k, v in changes.items()},
    }
    pairs = [f'{key}={value}' for key, value in values.items()]
    return ['--work-dir', str(work_dir), '--cfg-options', *pairs]


def weights(work_dir: Path, iteration: int) -> dict[str, torch.Tensor]:
    return load_file(work_dir / f'iter_{iteration}' / 'weights.safetensors')


def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """Return the largest difference of tensors of the same names."""
    assert a.keys() == b.keys()
    return max(float((a[key] - b[key]).abs().max()) for key in a)


def test_two_ranks_equal_one_with_the_doubled_batch(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utils, 'DEVICE', 'cpu')
    one, two = folder / 'one', folder / 'two'
    config = str(ROOT / 'configs/star/tiny.py')
    assert star(['train', config, *options_of(one, batch_size=2)]) == 0
    words = ['tools/dist_train.sh', config, 2]
    result = run([*words, *options_of(two, batch_size=1)])
    assert result.returncode == 0, result.stderr[-4000:]
    learnt = distance(weights(one, 3), weights(one, 1))
    assert learnt > 1e-4
    assert distance(weights(one, 3), weights(two, 3)) < 1e-3 * learnt


def test_two_ranks_measure_what_one_does(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Seventeen clips, of which seven have no ground truth."""
    places = {
        'A': write_folder(tmp_path / 'A', 'abcdefghij', frames=1),
        'B': write_folder(tmp_path / 'B', 'klmnopq', frames=1, gt=False),
    }
    config = tmp_path / 'bicubic.py'
    bicubic = ROOT / 'configs' / 'interpolation' / 'bicubic.py'
    lines = [f'_base_ = {str(bicubic)!r}']
    lines += ["custom_imports = dict(imports=['tests.test_apis.folders'])"]
    lines += ['test_evaluator = [']
    lines += [f'    dict(type={name!r}),' for name in METRICS]
    config.write_text('\n'.join([*lines, ']']))
    sets = [f'--set={name}={root}' for name, root in places.items()]
    options = [*sets, '--cfg-options', 'test_dataloader.num_workers=0']
    options += ['--save', 'png', '--work-dir']
    one = ['test', config, 'default', *options, tmp_path / 'one']
    one += ['--device', 'cpu']
    assert star([str(word) for word in one]) == 0, capsys.readouterr().err
    two = ['tools/dist_test.sh', config, 'default', 2, *options]
    result = run(two, tmp_path / 'two')
    assert result.returncode == 0, result.stderr[-4000:]
    found = {}
    for ranks in ('one', 'two'):
        content = (tmp_path / ranks / 'results.json').read_text()
        found[ranks] = json.loads(content)
        for clip in found[ranks]['clips']:
            assert clip.pop('seconds') > 0
            del clip['peak_memory']
        for each in found[ranks]['sets'].values():
            assert each.pop('seconds_per_frame') > 0
            del each['peak_memory']
    assert found['one'] == found['two']
    names = [clip['name'] for clip in found['one']['clips']]
    assert names == list('abcdefghijklmnopq')
    expected = [psnr(places['A'], name) for name in 'abcdefghij']
    scores = found['one']['sets']['A']['scores']
    assert scores['PSNR'] == pytest.approx(np.mean(expected), abs=0.3)
    assert found['one']['sets']['A']['scored']['SSIM'] == 10
    assert found['one']['sets']['B']['scored'] == {
        **{'PSNR': 0, 'SSIM': 0, 'Brightness': 7}
    }
    # two more ranks add a metric, from the clips that these two saved
    result = run(
        *([sys.executable, '-m', 'star', 'test', config, '--gpus', 2], *sets),
        *('--metrics', 'Brightness:name=Again'),
        *('--work-dir', tmp_path / 'two'),
    )
    assert result.returncode == 0, result.stderr[-4000:]
    added = json.loads((tmp_path / 'two' / 'results.json').read_text())
    for clip, before in zip(
        added['clips'], found['two']['clips'], strict=True
    ):
        again = clip['scores'].pop('Again')
        assert again == before['scores']['Brightness']
        assert clip['scores'] == before['scores']


@pytest.mark.parametrize(
    ('script', 'arguments', 'line'),
    [
        ('dist_train.sh', [], 'usage: tools/dist_train.sh CONFIG GPUS'),
        ('dist_train.sh', ['a.py', 'two'], "GPUS must be .* got 'two'"),
        ('dist_train.sh', ['a.py', '0'], "GPUS must be .* got '0'"),
        ('dist_test.sh', ['a.py', '2'], 'usage: tools/dist_test.sh'),
        ('slurm_train.sh', ['p', 'j'], 'usage: tools/slurm_train.sh'),
    ],
)
def test_wrong_use_of_scripts(
    script: str, arguments: list[str], line: str
) -> None:
    result = run(['bash', f'tools/{script}'], *arguments)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith('error: ')
    assert re.search(line, result.stderr)


@pytest.fixture
def recorder(tmp_path: Path) -> Path:
    """A program that prints its arguments, one a line."""
    path = tmp_path / 'bin' / 'srun'
    path.parent.mkdir()
    path.write_text('#!/bin/sh\nfor a in "$@"; do echo "<$a>"; done\n')
    path.chmod(0o755)
    return path


def printed(script: str, arguments: list[str], **variables: str) -> list[str]:
    result = subprocess.run(
        ['bash', ROOT / 'tools' / script, *arguments],
        capture_output=True,
        text=True,
        env={'PATH': os.environ['PATH'], **variables},
    )
    assert result.returncode == 0, result.stderr
    return [line[1:-1] for line in result.stdout.splitlines()]


def test_slurm_script_keeps_arguments_whole(recorder: Path) -> None:
    path = f'{recorder.parent}:{os.environ["PATH"]}'
    lines = printed(
        'slurm_train.sh',
        ['gpu', 'my job', 'a b.py', 'out dir', '--cfg-options', 'x=a b'],
        PATH=path,
        GPUS='4',
        SRUN_ARGS='--time=1 --qos=high',
        PYTHON='py',
    )
    assert lines[:6] == [
        '--partition=gpu',
        '--job-name=my job',
        '--gres=gpu:4',
        '--ntasks=4',
        '--ntasks-per-node=4',
        '--cpus-per-task=5',
    ]
    assert lines[6:11] == [
        '--kill-on-bad-exit=1',
        '--time=1',
        '--qos=high',
        'py',
        '-u',
    ]
    assert lines[11].endswith('/train.py')
    assert lines[12:] == [
        *('a b.py', '--launcher', 'slurm', '--work-dir', 'out dir'),
        *('--cfg-options', 'x=a b'),
    ]


def test_distributed_scripts_keep_arguments_whole(recorder: Path) -> None:
    python = {'PYTHON': str(recorder)}
    lines = printed('dist_train.sh', ['a b.py', '2', '--seed', '3'], **python)
    assert lines[:4] == [
        *('-m', 'torch.distributed.run', '--standalone'),
        '--nproc-per-node=2',
    ]
    assert lines[5:] == ['a b.py', '--launcher', 'pytorch', '--seed', '3']
    lines = printed('dist_test.sh', ['a.py', 'iter 3', '1'], **python)
    assert lines[5:] == ['a.py', 'iter 3', '--launcher', 'pytorch']


def test_several_machines(recorder: Path) -> None:
    lines = printed(
        'dist_train.sh',
        ['a.py', '8'],
        PYTHON=str(recorder),
        NNODES='2',
        NODE_RANK='1',
        MASTER_ADDR='10.0.0.1',
    )
    assert lines[2:7] == [
        '--nnodes=2',
        '--node-rank=1',
        '--master-addr=10.0.0.1',
        '--master-port=29500',
        '--nproc-per-node=8',
    ]
