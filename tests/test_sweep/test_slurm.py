"""A sweep as an array of jobs, with an sbatch that keeps its script."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from star.sweep.slurm import (
    SlurmJobs,
    read_environment,
    submit,
    without_job_options,
    write_script,
)


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Path:
    """Put an sbatch on the path that copies the script it is given."""
    path = tmp_path / 'bin' / 'sbatch'
    path.parent.mkdir()
    path.write_text(
        f'#!/bin/sh\ncp "$1" {tmp_path}/submitted\n'
        'grep -q refused "$1" && { echo no such >&2; exit 1; }\n'
        'echo Submitted batch job 7\n'
    )
    path.chmod(0o755)
    words = f'{path.parent}{os.pathsep}{os.environ["PATH"]}'
    monkeypatch.setenv('PATH', words)
    return path.parent


def jobs(folder: Path, **options) -> SlurmJobs:
    given = {'partition': 'gpu', 'work_dir': folder / 'work', **options}
    runs = ['a-x=1/seed_0', 'b/seed_0']
    command = ['printf', '<%s>', 'a b.py', '--train-args=--x y']
    return SlurmJobs(runs=runs, command=command, **given)


def test_script(tmp_path):
    options = {'cpus': 8, 'extra': ['--qos=high', '--comment=two words']}
    lines = write_script(jobs(tmp_path, **options)).splitlines()
    assert lines[:10] == [
        '#!/usr/bin/env bash',
        '#SBATCH --job-name=work',
        '#SBATCH --partition=gpu',
        '#SBATCH --array=0-1',
        f'#SBATCH --output={tmp_path}/work/slurm/%A_%a.log',
        '#SBATCH --gres=gpu:1',
        '#SBATCH --cpus-per-task=8',
        '#SBATCH --requeue',
        '#SBATCH --qos=high',
        '#SBATCH "--comment=two words"',
    ]


@pytest.mark.parametrize(
    ('task', 'run'), [(0, 'a-x=1/seed_0'), (1, 'b/seed_0')]
)
def test_each_job_does_its_run(tmp_path, cluster, task, run):
    assert submit(jobs(tmp_path)) == 'Submitted batch job 7'
    result = subprocess.run(
        ['bash', tmp_path / 'submitted'],
        capture_output=True,
        text=True,
        env={**os.environ, 'SLURM_ARRAY_TASK_ID': str(task)},
    )
    words = re.findall('<(.*?)>', result.stdout)
    assert words == ['a b.py', '--train-args=--x y', '--run', run]


def test_what_goes_wrong(tmp_path, cluster, monkeypatch):
    with pytest.raises(ValueError, match=r'sbatch refused .*: no such'):
        submit(jobs(tmp_path, partition='refused'))
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ValueError, match='needs sbatch'):
        submit(jobs(tmp_path))


def test_environment(monkeypatch):
    monkeypatch.delenv('CPUS_PER_TASK', raising=False)
    monkeypatch.setenv('SBATCH_ARGS', '--time=1 --comment="two words"')
    assert read_environment() == (5, ['--time=1', '--comment=two words'])
    monkeypatch.setenv('CPUS_PER_TASK', 'many')
    with pytest.raises(ValueError, match=">= 1, got 'many'"):
        read_environment()


@pytest.mark.parametrize(
    ('words', 'kept'),
    [
        ('a.py --slurm gpu --seeds 0 1', 'a.py --seeds 0 1'),
        ('--slurm gpu a.py --seeds 0', 'a.py --seeds 0'),
        ('a.py --slurm=gpu --dry-run --x=1', 'a.py --x=1'),
        ('a.py --run x y --grid k=1 --run=z b', 'a.py --grid k=1 b'),
        ('a.py --cfg-options k=-1 --train-args=--amp', None),
    ],
)
def test_jobs_do_not_submit_jobs(words, kept):
    expected = words if kept is None else kept
    assert without_job_options(words.split()) == expected.split()
