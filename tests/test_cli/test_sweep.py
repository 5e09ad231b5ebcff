"""`star sweep`, with stand-ins and with real trainings."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import save_file

from star.apis.inference.build import load_config
from star.cli import sweep
from star.registry import MODELS
from tests.paths import ROOT
from tests.test_sweep import stubs
from tests.test_sweep.miniature import FREQUENCY, LIEM, write_configs

TINY = str(ROOT / 'configs' / 'star' / 'tiny.py')
BICUBIC = str(ROOT / 'configs' / 'interpolation' / 'bicubic.py')
SMALL = str(ROOT / 'projects/small_models/configs/tiny_compact_soft.py')
STEPS = 'model.restore_options.steps'


@pytest.fixture
def call(monkeypatch, star, tmp_path):
    """Run `star sweep` with stand-ins for `star train` and `star test`."""
    monkeypatch.setattr(sweep, 'STAR', stubs.write_star(tmp_path / 'star'))
    # the command leaves its handler behind
    monkeypatch.setattr(sweep.signal, 'signal', lambda *_: None)

    def run(*words: object, work='work'):
        done = star('sweep', *words, '--work-dir', tmp_path / work)
        return done.code, done.out, done.err

    return run


def test_a_grid(call, tmp_path):
    words = (TINY, '--grid', f'{STEPS}=1,2', '--seeds', 0, 1, '--jobs', 2)
    code, out, err = call(*words)
    assert code == 0, err
    assert out == f'results: {tmp_path}/work/report/index.html\n'
    assert '(4 of 4 runs ended ' in err.splitlines()[-1]
    table = tmp_path / 'work' / 'report' / 'table.csv'
    rows = list(csv.DictReader(table.read_text().splitlines()))
    psnr = {r['setting']: r for r in rows if r['metric'] == 'PSNR'}
    assert list(psnr) == ['tiny-steps=1', 'tiny-steps=2']
    row = psnr['tiny-steps=1']  # 22.0 and 22.1 of the stand-in
    assert float(row['mean']) == pytest.approx(22.05)
    assert float(row['spread']) == pytest.approx(0.1 / 2**0.5)
    assert (tmp_path / 'work' / 'report' / 'steps_UDM10.png').is_file()
    again = call(*words)
    assert again[0] == 0 and again[2] == ''
    code, out, _ = call(*words, '--dry-run')
    assert code == 0 and out.endswith('4 runs, 4 done\n')
    code, _, err = call(*words, '--test-args=--frames 8')
    assert code == 2 and err.count('is stale: it was done') == 4
    assert len(err.splitlines()) == 4
    assert all(line.startswith('error: ') for line in err.splitlines())


def test_a_plan_starts_nothing(call, tmp_path):
    code, out, err = call(
        *(TINY, '--grid', f'{STEPS}=1,2', '--dry-run', '--run'),
        'tiny-steps=2/seed_0',
    )
    assert (code, err) == (0, '')
    lines = out.splitlines()
    assert lines[0] == 'tiny-steps=2/seed_0: to do'
    words = shlex.split(lines[1])
    assert words[1:4] == [str(tmp_path / 'star' / 'star.py'), 'train', TINY]
    assert words[-2:] == ['--cfg-options', f'{STEPS}=2']
    assert lines[-1] == '1 runs, 0 done'
    assert not (tmp_path / 'work').exists()


def test_weights_of_a_part_are_checked_in_silence(call, tmp_path, recwarn):
    config = str(ROOT / 'configs' / 'star' / 'tiny_cogvideox.py')
    autoencoder = MODELS.build(load_config(config).model.autoencoder)
    weights = autoencoder.vae.state_dict()
    save_file(weights, tmp_path / 'fits.safetensors')
    save_file(dict(list(weights.items())[1:]), tmp_path / 'no.safetensors')
    key = f'model.autoencoder.pretrained={tmp_path}'
    words = (config, '--dry-run', '--cfg-options')
    code, _, err = call(*words, f'{key}/fits.safetensors')
    assert (code, err) == (0, '')
    assert not [w for w in recwarn if 'non-meta' in str(w.message)]
    code, _, err = call(*words, f'{key}/no.safetensors')
    assert code == 2 and 'no.safetensors does not fit' in err


def test_failures(call, tmp_path):
    (tmp_path / 'star' / 'test.py').write_text('import sys; sys.exit("no")')
    code, out, err = call(TINY, '--seeds', 0, 1, '--jobs', 1)
    assert (code, out) == (1, '')
    lines = [x for x in err.splitlines() if x.startswith('failed: ')]
    assert len(lines) == 4  # when it happens, and at the end
    log = tmp_path / 'work' / 'runs' / 'tiny' / 'seed_1' / 'test.log'
    assert lines[-1] == (
        f'failed: tiny/seed_1: test, exit code 1: no; log: {log}'
    )
    note = 'note: no scores yet: tiny/seed_0, tiny/seed_1'
    assert note in err.splitlines()


@pytest.mark.parametrize(
    ('words', 'line'),
    [
        (['none.py'], "there is no config 'none.py'"),
        ([TINY, '--grid', 'steps'], '--grid takes KEY=V1,V2,..., got'),
        ([TINY, '--grid', f'{STEPS}=0'], '`steps` must be >= 1'),
        ([TINY, '--grid', 'modle.x=1'], 'config has no setting'),
        ([TINY, '--grid', 'model=1'], "setting 'model' is a dictionary"),
        ([TINY, '--grid', 'model.frozen.x=1'], 'STARModel cannot be built'),
        ([TINY, '--cfg-options', 'model.x'], '--cfg-options takes KEY=VALUE'),
        ([TINY, '--seeds', '1', '1'], '--seeds must differ'),
        ([TINY, '--jobs', '0'], '--jobs: must be a whole number of at least'),
        ([TINY, '--gpus', '0,,1'], '--gpus takes 0,1'),
        ([TINY, '--run', 'x'], "there is no run 'x', only tiny/seed_0"),
        ([TINY, '--gpus', '0', '--jobs', '2'], 'not allowed with'),
        ([TINY, '--test-args=--framse 8'], '--test-args: unrecognized argum'),
        ([TINY, '--train-args=--seed a'], '--train-args: argument --seed: '),
        ([TINY, '--test-args=--weights-dir no'], '--weights-dir must be'),
        ([SMALL, '--train-args=--amp'], 'lacks test_dataloader, test_eval'),
        ([BICUBIC], 'bicubic.py is not for training'),
        ([TINY, '--search', 'x=1:2'], '--search needs --trials'),
        ([TINY, '--search', 'x=1:2', '--grid', 'y=1'], 'without --grid'),
        (
            [BICUBIC, '--no-train', '--seeds', '0', '1'],
            'mean nothing to a method without seed',
        ),
    ],
)
def test_wrong_use(call, tmp_path, words, line):
    code, out, err = call(*words)
    assert (code, out) == (2, '')
    assert len(err.splitlines()) == 1 and err.startswith('error: ')
    assert line in err
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize(
    'content',
    [
        '',
        'train_cfg = dict(max_iters=1)',
        'model = None',
        'model = dict(a=1)',
        f'_base_ = {TINY!r}\ntrain_dataloader = None',
    ],
)
@pytest.mark.parametrize(
    'words',
    [
        ['--grid', 'modle.x=1'],
        ['--grid', 'modle.x=1', '--no-train'],
        ['--grid', 'model.restore_options.steps.x=1'],
        ['--cfg-options', 'train_dataloader.batch_size=1'],
        ['--search', 'modle.x=1:2', '--trials', '1', '--objective', 'a/PSNR'],
    ],
)
def test_a_wrong_key_is_named(call, tmp_path, content, words):
    """Whatever the config lacks."""
    config = tmp_path / 'mine.py'
    config.write_text(f'{content}\n')
    code, out, err = call(config, *words, '--dry-run')
    assert (code, out) == (2, '')
    assert len(err.splitlines()) == 1 and err.startswith('error: ')
    assert words[1].partition('=')[0] in err


def test_jobs_of_a_cluster(call, tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHON', 'py')
    words = [TINY, '--grid', f'{STEPS}=1,2', '--slurm', 'gpu', '--dry-run']
    code, out, _ = call(*words)
    assert code == 0 and '#SBATCH --partition=gpu' in out
    assert 'runs=(tiny-steps=1/seed_0 tiny-steps=2/seed_0)' in out
    script = tmp_path / 'star' / 'star.py'
    tail = (
        f'--work-dir {tmp_path}/work --run "${{runs[$SLURM_ARRAY_TASK_ID]}}"'
    )
    assert f'exec py {script} sweep {TINY} --grid {STEPS}=1,2 {tail}' in out
    monkeypatch.delenv('PYTHON')
    assert call(*words[:3], '--jobs', 2)[0] == 0
    code, _, err = call(*words)
    assert (code, err) == (2, 'error: all runs are done: nothing to submit\n')


def test_a_search(call, tmp_path):
    pytest.importorskip('optuna', reason='optuna is not installed')
    words = (TINY, '--search', f'{STEPS}=1:4', '--trials', 2, '--jobs', 1)
    code, out, err = call(*words, '--objective', 'UDM10/PSNR')
    assert code == 0, err
    assert out.startswith('results: ')
    table = tmp_path / 'work' / 'report' / 'table.csv'
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert all(r['mean'] == '22.0' for r in rows if r['metric'] == 'PSNR')
    code, out, _ = call(*words, '--objective', 'UDM10/PSNR', '--dry-run')
    assert code == 0 and out.startswith('2 trials, 1 seeds each')


def start(folder: Path, configs: list[Path], *words: object):
    command = [sys.executable, '-m', 'star', 'sweep', *configs, *words]
    command += ['--work-dir', folder, '--jobs', 1]
    with open(f'{folder}.log', 'ab') as log:
        return subprocess.Popen(
            [str(word) for word in command],
            cwd=ROOT,
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
            stdout=log,
            stderr=log,
        )


def wait_for(path: Path, process: subprocess.Popen) -> None:
    while not path.exists():
        assert process.poll() is None, 'it ended before'
        time.sleep(0.05)


@pytest.mark.slow
def test_killed_twice_it_ends_with_the_same_table(tmp_path):
    """A complete sweep: real trainings and tests, two configs, two seeds."""
    names = {'none': ('None', 'None'), 'both': (LIEM, FREQUENCY)}
    configs = write_configs(tmp_path / 'data', names)
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    words = ('--seeds', 0, 1)
    assert start(whole, configs, *words).wait() == 0
    process = start(killed, configs, *words)
    runs = killed / 'runs'
    wait_for(runs / 'none/seed_0/train/iter_1', process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process = start(killed, configs, *words)
    wait_for(runs / 'none/seed_1/test/run.json', process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert start(killed, configs, *words).wait() == 0
    for name in ('runs.csv', 'table.csv'):
        first, second = (f / 'report' / name for f in (whole, killed))
        assert first.read_text() == second.read_text()
    rows = list(csv.DictReader((whole / 'report/runs.csv').open()))
    scores = {(r['setting'], r['seed']): r['value'] for r in rows}
    assert len(rows) == 4 and len(set(scores.values())) == 4


def test_a_miniature_sweep(call, tmp_path, monkeypatch):
    """A real training and a real test, by the real commands."""
    monkeypatch.setattr(sweep, 'STAR', ('-m', 'star'))
    configs = write_configs(tmp_path / 'data', {'mini': (LIEM, FREQUENCY)})
    code, _, err = call(*configs, '--seeds', 3, '--jobs', 1)
    assert code == 0, err
    run = tmp_path / 'work' / 'runs' / 'mini' / 'seed_3'
    assert (run / 'train' / 'iter_2' / 'weights.safetensors').is_file()
    rows = list(csv.DictReader((tmp_path / 'work/report/runs.csv').open()))
    assert [(r['set'], r['metric'], r['clips']) for r in rows] == [
        ('two', 'PSNR', '2')
    ]
    results = json.loads((run / 'test' / 'results.json').read_text())
    score = results['sets']['two']['scores']['PSNR']
    assert float(rows[0]['value']) == score and 5 < score < 40
    checkpoint = Path(results['method']['checkpoint'])
    assert run / 'train' / 'iter_2' in (checkpoint, checkpoint.parent)
