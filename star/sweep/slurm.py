"""A sweep as an array of SLURM jobs, one run each.

submitit would pickle a function and requeue it at its time limit only. This
script can be read beforehand, and a job requeued for any reason resumes.
"""

import math
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from star.utils.files import write_text


@dataclass(frozen=True)
class SlurmJobs:
    """The array of jobs to submit.

    Args:
        partition: of the cluster.
        runs: names of the runs, one job each.
        command: of the sweep; each job adds `--run NAME`.
        work_dir: of the sweep, with the folder of the logs.
        cpus: for each job.
        extra: further options of sbatch.
    """

    partition: str
    runs: Sequence[str]
    command: Sequence[str]
    work_dir: Path
    cpus: int = 5
    extra: Sequence[str] = ()


def write_script(jobs: SlurmJobs) -> str:
    """Return the script of the array.

    A job that the cluster stops and requeues resumes its run.
    """
    logs = jobs.work_dir.resolve() / 'slurm' / '%A_%a.log'
    options = {
        'job-name': jobs.work_dir.resolve().name,
        'partition': jobs.partition,
        'array': f'0-{len(jobs.runs) - 1}',
        'output': str(logs),
        'gres': 'gpu:1',
        'cpus-per-task': str(jobs.cpus),
    }
    lines = [f'#SBATCH --{key}={_quote(v)}' for key, v in options.items()]
    lines += ['#SBATCH --requeue']
    lines += [f'#SBATCH {_quote(word)}' for word in jobs.extra]
    names = ' '.join(shlex.quote(name) for name in jobs.runs)
    return '\n'.join(
        [
            '#!/usr/bin/env bash',
            *lines,
            f'runs=({names})',
            f'cd {shlex.quote(str(Path.cwd()))}',
            f'exec {shlex.join(jobs.command)} '
            '--run "${runs[$SLURM_ARRAY_TASK_ID]}"',
            '',
        ]
    )


def submit(jobs: SlurmJobs) -> str:
    """Write the script into the sweep's folder and submit it.

    Returns:
        The answer of sbatch.

    Raises:
        ValueError: sbatch is missing, or refuses the script.
    """
    path = jobs.work_dir / 'slurm' / 'array.sh'
    write_text(path, write_script(jobs))
    try:
        result = subprocess.run(
            ['sbatch', str(path)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        raise ValueError('--slurm needs sbatch, which is missing') from error
    if result.returncode:
        reason = ' '.join(result.stderr.split())
        raise ValueError(f'sbatch refused {path}: {reason}')
    return result.stdout.strip()


def read_environment() -> tuple[int, list[str]]:
    """Read CPUS_PER_TASK (5) and SBATCH_ARGS, as tools/slurm_train.sh does.

    Raises:
        ValueError: CPUS_PER_TASK is no whole number of at least 1.
    """
    cpus = os.environ.get('CPUS_PER_TASK', '5')
    if not cpus.isdecimal() or int(cpus) < 1:
        raise ValueError(
            f'CPUS_PER_TASK must be a whole number >= 1, got {cpus!r}'
        )
    return int(cpus), shlex.split(os.environ.get('SBATCH_ARGS', ''))


def without_job_options(words: list[str]) -> list[str]:
    """Remove --slurm, --run, their values and --dry-run.

    Args:
        words: command line of the sweep, without the command's name.

    Returns:
        The words that each job repeats.
    """
    kept, skip = [], 0.0  # number of words to remove next
    for word in words:
        if word.startswith('-'):
            skip = {'--slurm': 1, '--run': math.inf}.get(word, 0)
            if skip or word.startswith(('--slurm=', '--run=', '--dry-run')):
                continue
        elif skip > 0:
            skip -= 1
            continue
        kept.append(word)
    return kept


def _quote(text: str) -> str:
    """Quote as sbatch reads its lines: in double quotes."""
    return f'"{text}"' if ' ' in text else text
