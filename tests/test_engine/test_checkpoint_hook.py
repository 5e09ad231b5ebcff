import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from star.engine import checkpoint_hook, checkpointing, restoring
from star.engine.checkpoint_hook import SafeCheckpointHook
from star.engine.checkpointing import load_state
from star.utils.checkpoint_folder import (
    find_last,
    load_ema,
    load_weights,
    resume_path,
)
from star.utils.files import read_json
from tests.test_engine import toy
from tests.test_engine.toy import Crash, read_losses, start, toy_config

HOOK = 'default_hooks.checkpoint.'
CRASH = 'custom_hooks.3.after'


def crash(work_dir, after, **options):
    """Begin a run and lose it after an iteration and its checkpoint."""
    with pytest.raises(Crash):
        start(toy_config(work_dir, **{CRASH: after, **options}))
    return find_last(work_dir)


def resume(work_dir, folder=None, changes=(), **options):
    return start(
        toy_config(work_dir, **options),
        folder or find_last(work_dir),
        changes,
    )


def same(one, other):
    """Whether two nests of containers and tensors are equal."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            same(one[key], other[key]) for key in one
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one.equal(other) if isinstance(one, torch.Tensor) else one == other


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    """Weights, averages, moments, rates, logs, random states, position."""
    options = {f'{HOOK}interval': 2}
    start(toy_config(tmp_path / 'a', **options))
    assert crash(tmp_path / 'b', 5, **options).name == 'iter_4'
    resume(tmp_path / 'b', **options)
    losses = dict(read_losses(tmp_path / 'a'))
    written = read_losses(tmp_path / 'b')
    assert [n for n, _ in written] == [1, 2, 3, 4, 5, 5, 6, 7, 8]
    assert all(loss == losses[n] for n, loss in written)
    one, two = tmp_path / 'a' / 'iter_8', tmp_path / 'b' / 'iter_8'
    assert same(load_weights(one), load_weights(two))
    assert same(load_ema(one), load_ema(two))
    states = [load_state(folder) for folder in (one, two)]
    for state in states:
        for name in ('train/time', 'train/data_time'):
            del state['histories'][name]
    assert states[0]['draw'] == 24
    assert len(states[0]['histories']['train/loss'][0]) == 8
    assert len(states[0]['optimizer']['state']) == 4
    for key in states[0]:
        assert same(states[0][key], states[1][key]), key


def test_nothing_is_loaded_twice(tmp_path):
    crash(tmp_path, 5)
    resumed = resume(tmp_path)
    assert resumed.train_dataloader.dataset.loaded == list(range(15, 24))


def test_what_is_kept(tmp_path):
    start(toy_config(tmp_path, 7, **{f'{HOOK}interval': 3}))
    names = {path.name for path in tmp_path.glob('iter_*')}
    assert names == {'iter_6', 'iter_7'}  # the end counts as well
    assert find_last(tmp_path).name == 'iter_7'
    weights = load_weights(tmp_path / 'iter_7')
    assert {name.split('.')[0] for name in weights} == {'net'}
    record = read_json(tmp_path / 'iter_7' / 'origins.json')
    assert [file['sha256'] for file in record['files']] == ['abc']
    kinds = {each['part']: each['kind'] for each in record['origins']}
    assert kinds == {'frozen': 'file', 'net': 'config'}
    own = read_json(tmp_path / 'iter_7' / 'config.json')
    assert own == {'model': {'type': 'ToyModel'}}


def test_what_no_file_has_is_kept(tmp_path):
    folder = crash(tmp_path, 2, **{'model.file': False})
    assert 'frozen.weight' in load_weights(folder)
    assert read_json(folder / 'origins.json')['files'] == []
    options = {'model.file': False, f'{HOOK}may_differ': ['model.fill']}
    runner = resume(tmp_path, **options, **{'model.fill': 9.0})
    assert runner.model.frozen.weight.eq(0.5).all()


def test_a_run_can_become_longer(tmp_path):
    """Schedules that end with the run then follow its new length."""
    start(toy_config(tmp_path / 'a', 8))
    with pytest.raises(Crash):
        start(toy_config(tmp_path / 'b', 6, **{CRASH: 4}))
    runner = resume(tmp_path / 'b', max_iters=8)
    assert [s.end for s in runner.param_schedulers] == [3, 8]
    assert read_losses(tmp_path / 'a') == read_losses(tmp_path / 'b')
    saved = (tmp_path / 'b' / 'iter_8').stat()
    resume(tmp_path / 'b', max_iters=8)  # nothing is left to do
    assert (tmp_path / 'b' / 'iter_8').stat() == saved


def test_all_weights_on_demand(tmp_path):
    folder = crash(tmp_path, 2, **{f'{HOOK}save_all': True})
    assert 'frozen.weight' in load_weights(folder)
    # a run that would begin with other frozen weights gets the saved ones
    options = {f'{HOOK}save_all': True, f'{HOOK}may_differ': ['model.fill']}
    runner = resume(tmp_path, **options, **{'model.fill': 9.0})
    assert runner.model.frozen.weight.eq(0.5).all()


@pytest.mark.parametrize(
    'options, message',
    [
        (
            {'model.width': 9},
            'of another config: model.width is not set there',
        ),
        (
            {'optim_wrapper.optimizer.lr': 0.2},
            r'optim_wrapper.optimizer.lr is 0\.1 there and 0\.2 here',
        ),
        (
            {'model.width': 9, f'{HOOK}may_differ': ['model.width']},
            r'iter_2: tensors do not fit the model: .* of another shape',
        ),
        (
            {'model.fill': 9.0, f'{HOOK}may_differ': ['model.*']},
            'the frozen weights of `frozen` are not those of the run',
        ),
        (
            {'custom_hooks.1.begin': 2},
            "has averaged ema.safetensors, but the config's TrainedEMAHook is",
        ),
    ],
)
def test_refuses_another_run(tmp_path, options, message):
    crash(tmp_path, 2)
    with pytest.raises(ValueError, match=message) as info:
        resume(tmp_path, **options)
    assert '\n' not in str(info.value)


def test_refuses_a_checkpoint_without_averages(tmp_path):
    crash(tmp_path, 2, **{'custom_hooks.1.begin': 5})
    with pytest.raises(ValueError, match=r'has no ema.*TrainedEMAHook has b'):
        resume(tmp_path)


def test_refuses_a_folder_in_use(tmp_path):
    crash(tmp_path / 'a', 2)
    message = 'holds an earlier run, saved at iter_2: .* --resume'
    with pytest.raises(ValueError, match=message):
        start(toy_config(tmp_path / 'a'))
    # nor may a run go on from another folder's checkpoint in it
    crash(tmp_path / 'b', 3)
    with pytest.raises(ValueError, match=message):
        resume(tmp_path / 'a', find_last(tmp_path / 'b'))
    assert len(read_losses(tmp_path / 'a')) == 2


def test_goes_on_from_an_earlier_checkpoint(tmp_path):
    """Which then is the last one: what follows is written anew."""
    crash(tmp_path, 4, **{f'{HOOK}max_keep': 9})
    crashed = toy_config(tmp_path, **{CRASH: 3, f'{HOOK}max_keep': 9})
    with pytest.raises(Crash):
        start(crashed, resume_path(tmp_path / 'iter_1'))
    assert find_last(tmp_path).name == 'iter_3'
    losses = read_losses(tmp_path)
    assert losses[4:] == losses[1:3]


@pytest.mark.parametrize(
    'options, message',
    [
        (
            {'train_dataloader.sampler': {'type': 'InfiniteSampler'}},
            'must be a DrawSampler',
        ),
        ({'custom_hooks': [{'type': 'EMAHook'}]}, 'use TrainedEMAHook'),
        (
            {
                'optim_wrapper.accumulative_counts': 2,
                f'{HOOK}interval': 3,
            },
            'must be a multiple of `accumulative_counts` = 2, got 3',
        ),
    ],
)
def test_refuses_what_it_cannot_save(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        start(toy_config(tmp_path, **options))


def test_refuses_a_wrong_position(tmp_path, monkeypatch):
    folder = crash(tmp_path, 2)
    config = toy_config(tmp_path, **{f'{HOOK}resume_from': str(folder)})
    monkeypatch.setattr(toy, 'set_resume', lambda *_: None)
    with pytest.raises(ValueError, match='start` must be 6 to resume, got 0'):
        start(config)


@pytest.mark.parametrize('name', ['interval', 'max_keep'])
def test_refuses_wrong_numbers(name):
    with pytest.raises(ValueError, match=f'`{name}` must be at least 1'):
        SafeCheckpointHook(**{name: 0})


@HOOKS.register_module()
class PoisonHook(Hook):
    """Makes a weight infinite after iteration 3."""

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        if runner.iter == 2:
            runner.model.net[0].bias.data[1] = torch.inf


def test_never_saves_bad_weights(tmp_path):
    options = {'custom_hooks': [{'type': 'PoisonHook'}]}
    message = r'weight net\.0\.bias is not finite after iteration 3.*iter_2$'
    with pytest.raises(RuntimeError, match=message):
        start(toy_config(tmp_path, **options))
    assert find_last(tmp_path).name == 'iter_2'


def test_what_rank_0_cannot_write_ends_all_ranks(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError('iter_1 cannot be written: the disk is full')

    def share(problem):
        shared.append(problem[0])

    shared = []
    monkeypatch.setattr(checkpointing, 'write_checkpoint', fail)
    monkeypatch.setattr(checkpoint_hook.dist, 'broadcast_object_list', share)
    with pytest.raises(OSError, match='the disk is full') as error:
        start(toy_config(tmp_path))
    assert shared == [error.value]


def test_validation_leaves_the_random_state(tmp_path):
    options = {
        'train_cfg.val_interval': 2,
        'val_cfg': {},
        'val_dataloader': {
            'batch_size': 1,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'dataset': {'type': 'ToyClips'},
        },
        'val_evaluator': {'type': 'ToyMetric'},
    }
    start(toy_config(tmp_path / 'a', 5))
    runner = start(toy_config(tmp_path / 'b', 5, **options))
    assert len(runner.model.validated) == 3 * 5  # after 2, 4 and 5
    assert read_losses(tmp_path / 'a') == read_losses(tmp_path / 'b')


def test_every_rank_gets_its_own_random_state(tmp_path, monkeypatch):
    states = [{'n': 0}, {'n': 1}]
    got, warnings = [], []
    monkeypatch.setattr(restoring.dist, 'get_world_size', lambda: 2)
    monkeypatch.setattr(restoring.dist, 'get_rank', lambda: 1)
    monkeypatch.setattr(restoring.run_state, 'set_rng_state', got.append)

    class FakeRunner:
        class logger:
            warning = staticmethod(warnings.append)

    restoring.restore_rng(FakeRunner, states)
    assert got == [{'n': 1}] and not warnings
    restoring.restore_rng(FakeRunner, [*states, {'n': 2}])
    assert len(got) == 1
    assert 'had 3 processes and has 2 now' in warnings[0]
