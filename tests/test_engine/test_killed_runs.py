"""A run that is killed and resumed goes on as if it had not been."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from star.engine.checkpointing import load_state
from star.utils.checkpoint_folder import find_last, load_ema, load_weights
from tests.paths import ROOT
from tests.test_engine.toy import read_losses

KILLED = signal.SIGKILL


@pytest.fixture(scope='module')
def process():
    """Run a task of `toy.serve`; return the signal or status it ended with."""
    server = subprocess.Popen(
        [sys.executable, '-m', 'tests.test_engine.toy'],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(work_dir, options, **ending):
        task = {'work_dir': str(work_dir), 'options': options, **ending}
        server.stdin.write(json.dumps(task) + '\n')
        server.stdin.flush()
        return int(server.stdout.readline())

    yield run
    server.stdin.close()
    assert server.wait() == 0


def check_equal(reference, resumed, max_iters):
    """Every loss ever written is the uninterrupted run's; so are the files."""
    expected = dict(read_losses(reference))
    written = read_losses(resumed)
    assert sorted(expected) == list(range(1, max_iters + 1))
    assert {n for n, _ in written} == expected.keys()
    assert all(loss == expected[n] for n, loss in written)
    for load in (load_weights, load_ema):
        ours = load(resumed / f'iter_{max_iters}')
        for name, tensor in load(reference / f'iter_{max_iters}').items():
            assert tensor.equal(ours[name])


def check_last(folder, earlier):
    """What `last_checkpoint` names is whole, and never goes away or back."""
    last = find_last(folder)
    if last is None:
        assert earlier == 0
        return 0
    iteration = load_state(last)['iteration']
    assert last.name == f'iter_{iteration}'
    assert load_weights(last) and load_ema(last)
    assert iteration >= earlier
    return iteration


def test_killed_before_each_change_of_a_file(tmp_path, process):
    options = {'max_iters': 30}
    assert process(tmp_path / 'whole', options) == 0
    killed, last, reached = tmp_path / 'killed', 0, []
    for step in (*range(24), *range(24, 48, 3)):
        assert process(killed, options, die_at=step) == KILLED
        last = check_last(killed, last)
        reached.append(last)
    assert reached[0] == 0 and reached[-1] > 2
    assert process(killed, options) == 0
    check_equal(tmp_path / 'whole', killed, 30)
    names = {path.name for path in killed.iterdir()}
    assert {n for n in names if 'iter_' in n} == {'iter_29', 'iter_30'}
    assert not any(name.startswith('.') for name in names)


def test_killed_at_any_moment(tmp_path, process):
    """With a worker that reads ahead; saving takes much of the time."""
    options = {
        'max_iters': 60,
        'train_dataloader.num_workers': 1,
        'train_dataloader.persistent_workers': True,
    }
    assert process(tmp_path / 'first', {'max_iters': 1}) == 0  # imports
    begin = time.monotonic()
    assert process(tmp_path / 'whole', options) == 0
    whole = time.monotonic() - begin  # machines differ, and so does their load
    killed, last, deaths = tmp_path / 'killed', 0, 0
    rng = random.Random(0)
    for _ in range(5):
        seconds = rng.uniform(0.2, 0.6) * whole
        if process(killed, options, kill_after=seconds) == KILLED:
            deaths += 1
            last = check_last(killed, last) if killed.exists() else 0
        else:  # it went faster than before: start over
            check_equal(tmp_path / 'whole', killed, 60)
            shutil.rmtree(killed)
            last, whole = 0, whole * 0.7
    assert deaths >= 2, deaths
    assert process(killed, options) == 0
    check_equal(tmp_path / 'whole', killed, 60)


@pytest.mark.parametrize('signum', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends(tmp_path, process, signum):
    options = {
        'max_iters': 6,
        'default_hooks.checkpoint.interval': 100,
        'custom_hooks.3.terminate': 4,
        'custom_hooks.3.signum': signum,
    }
    status = process(tmp_path, options)
    assert status >> 8 == 128 + signum
    assert check_last(tmp_path, 0) == 4


def test_two_ranks_resume_as_one(tmp_path, process):
    """Each has its own random state and its own share of the data."""

    def run(name, **options):
        meeting = str(tmp_path / f'meeting{len(list(tmp_path.iterdir()))}')
        options['max_iters'] = 4
        return process(tmp_path / name, options, meeting=meeting)

    assert run('whole') == 0
    assert run('killed', **{'custom_hooks.3.after': 2}) >> 8 == 1
    assert check_last(tmp_path / 'killed', 0) == 2
    assert run('killed') == 0
    losses = []
    for rank in ('rank_0', 'rank_1'):
        losses.append(read_losses(tmp_path / 'whole' / rank))
        assert read_losses(tmp_path / 'killed' / rank) == losses[-1]
    assert [n for n, _ in losses[0]] == [1, 2, 3, 4]
    assert losses[0] != losses[1]
    states = [
        load_state(tmp_path / name / 'iter_4') for name in ('whole', 'killed')
    ]
    assert states[0]['draw'] == states[1]['draw'] == 4 * 2 * 3
    for one, two in zip(states[0]['rng'], states[1]['rng'], strict=True):
        assert one['torch'].equal(two['torch'])
    first, second = states[0]['rng']
    assert not first['torch'].equal(second['torch'])
