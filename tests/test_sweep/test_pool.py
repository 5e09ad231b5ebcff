"""Parallel runs, failures and interruptions, with stand-in commands."""

import csv
import io
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from star.sweep.locking import try_lock
from star.sweep.pool import Pool, list_devices, stop
from star.sweep.progress import SweepProgress
from star.sweep.stages import is_done, mark_stage
from tests.paths import ROOT
from tests.test_sweep.stubs import make_runs, make_works


def do(works, devices=None):
    devices = devices or list_devices([], 2, 2)
    done = sum(work.done for work in works)
    stream = io.StringIO()
    progress = SweepProgress(len(works), done, stream)
    failures = Pool(works, devices, progress).run()
    return failures, stream.getvalue()


def attempts(work, stage='train') -> list[str]:
    path = work.folder / stage / 'attempts'
    return path.read_text().splitlines() if path.is_file() else []


def test_all_runs_once(tmp_path):
    works = make_works(tmp_path, make_runs())
    failures, told = do(works)
    assert failures == []
    assert all(work.done for work in works)
    assert '(4 of 4 runs ended [' in told.splitlines()[-1]
    for work in works:
        assert len(attempts(work)) == len(attempts(work, 'test')) == 1
        log = (work.folder / 'train.log').read_text()
        assert log.startswith('$ ') and '--seed' in log
    assert do(works) == ([], '')  # nothing is left to do
    assert len(attempts(works[0])) == 1


def test_each_run_has_a_device(tmp_path):
    works = make_works(tmp_path, make_runs(), pause=0.05)
    assert do(works, list_devices(['3', 'MIG-7'], 1, 2))[0] == []
    lines = [attempts(work)[0] for work in works]
    used = [re.search(r'device=(\S+) at (\S+)', line) for line in lines]
    places = [match[1] for match in used]
    assert places[:2] == ['3', 'MIG-7'] and set(places) == {'3', 'MIG-7'}
    begun = [float(match[2]) for match in used]
    assert abs(begun[1] - begun[0]) < 0.15 < begun[2] - begun[0]


def test_environments(monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    assert (
        list_devices(['0', '0'], 1, 8) == [{'CUDA_VISIBLE_DEVICES': '0'}] * 2
    )
    place = {'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '2'}
    assert list_devices([], 3, 8) == [place] * 3
    monkeypatch.setenv('OMP_NUM_THREADS', '5')
    assert list_devices([], 9, 8)[0]['OMP_NUM_THREADS'] == '5'


@pytest.mark.parametrize('stage', ['train', 'test'])
def test_what_fails_does_not_stop_the_rest(tmp_path, stage):
    runs = make_runs()
    works = make_works(tmp_path, runs, fail=f'{runs[1].name} {stage}')
    failures, told = do(works)
    log = works[1].folder / f'{stage}.log'
    assert failures == [
        f'{runs[1].name}: {stage}, exit code 3: error: told to fail; '
        f'log: {log}'
    ]
    assert '(4 of 4 runs ended, 1 failed [' in told
    assert [work.done for work in works] == [True, False, True, True]
    done = [is_done(each) for each in works[1].stages]
    assert done == [stage == 'test', False]


def test_a_killed_command_is_named(tmp_path):
    works = make_works(tmp_path, make_runs('1', 1))
    script = tmp_path / 'tools' / 'train.py'
    script.write_text('import os; os.kill(os.getpid(), 9)')
    failures, _ = do(works)
    assert 'train, killed by SIGKILL' in failures[0]


def test_a_run_that_was_interrupted_resumes(tmp_path):
    (work,) = works = make_works(tmp_path, make_runs('1', 1))
    process = subprocess.Popen([*work.stages[0].command(), '--pause', '0.2'])
    last = work.folder / 'train' / 'last_checkpoint'
    wait(last.is_file)
    process.kill()
    process.wait()
    mark_stage(work.stages[0])
    assert do(works)[0] == []
    resumed = [line.split()[0] for line in attempts(work)]
    assert resumed == ['resume=False', 'resume=True']


def wait(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'waited too long'
        time.sleep(0.01)


def start(folder: Path, pause: float) -> subprocess.Popen:
    words = [sys.executable, '-m', 'tests.test_sweep.stubs', folder, pause]
    with open(folder / 'log', 'ab') as log:
        return subprocess.Popen(
            list(map(str, words)), cwd=ROOT, stdout=log, stderr=log
        )


def finish(folder: Path, pause: float = 0.0) -> str:
    process = start(folder, pause)
    assert process.wait() == 0, (folder / 'log').read_text()
    return (folder / 'table.csv').read_text()


def test_killed_sweeps_end_with_the_same_table(tmp_path):
    """SIGKILL of the sweep alone, and of its commands too."""
    folders = [tmp_path / name for name in ('whole', 'killed')]
    for folder in folders:
        folder.mkdir()
    whole = finish(folders[0], 0.1)
    rows = list(csv.DictReader(whole.splitlines()))
    psnr = {
        (row['setting'], row['seed']): row['value']
        for row in rows
        if row['metric'] == 'PSNR'
    }
    assert psnr == {
        ('i2vgen-alpha=0.5', '0'): '20.5',
        ('i2vgen-alpha=0.5', '1'): '20.6',
        ('i2vgen-alpha=1', '0'): '21.0',
        ('i2vgen-alpha=1', '1'): '21.1',
    }
    runs = make_runs()
    works = make_works(folders[1], runs, 0.1)
    for number, path in enumerate(
        (
            works[0].folder / 'train' / 'last_checkpoint',
            works[1].folder / 'test' / 'attempts',
            works[2].folder / 'train' / 'iter_2',
        )
    ):
        process = start(folders[1], 0.1)
        wait(path.exists)
        process.kill()
        process.wait()
        if number == 2:  # as when the machine goes down
            kill_commands(folders[1])
    assert finish(folders[1], 0.1) == whole
    starts = [len(attempts(work)) for work in works]
    assert sum(starts) > 4
    assert finish(folders[1]) == whole  # again, with nothing to do
    assert [len(attempts(work)) for work in works] == starts


def kill_commands(folder: Path) -> None:
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if str(folder / 'tools').encode() in words:
            os.kill(int(path.parent.name), signal.SIGKILL)


def test_a_command_of_a_killed_sweep_is_waited_for(tmp_path):
    """No two processes train in one folder."""
    process = start(tmp_path, 0.3)
    works = make_works(tmp_path, make_runs(), 0.3)
    wait((works[0].folder / 'train' / 'attempts').exists)
    process.kill()
    process.wait()
    finish(tmp_path, 0.3)
    # the orphan went on to the end, and was then continued, not disturbed
    words = [line.split()[0] for line in attempts(works[0])]
    assert words == ['resume=False', 'resume=True']
    steps = sorted(p.name for p in (works[0].folder / 'train').glob('iter_*'))
    assert steps == ['iter_1', 'iter_2', 'iter_3', 'iter_4']
    last = [
        p.stat().st_mtime for p in sorted(works[0].folder.glob('*/iter_4'))
    ]
    assert float(attempts(works[0])[1].split()[-1]) > last[0]


def test_an_interrupted_sweep_stops_its_commands(tmp_path):
    process = start(tmp_path, 5.0)
    works = make_works(tmp_path, make_runs(), 5.0)
    for work in works[:2]:
        wait((work.folder / 'train' / 'attempts').exists)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) != 0
    for work in works[:2]:
        lock = try_lock(work.folder)
        assert lock is not None, 'a command goes on'
        os.close(lock)
    assert not attempts(works[2])


def test_who_does_not_listen_is_killed():
    code = 'import signal, time; signal.signal(15, print); print(); '
    process = subprocess.Popen(
        [sys.executable, '-uc', code + 'time.sleep(60)'],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    process.stdout.readline()
    stop([process], patience=0.2)
    assert process.returncode == -signal.SIGKILL
    process.stdout.close()
