import os
import pickle
import resource
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from star.engine.checkpointing import (
    load_state,
    plain,
    point_to,
    remove_leftovers,
    remove_old,
    save_checkpoint,
    set_resume,
)
from star.engine.resuming import describe_config
from star.utils.checkpoint_folder import (
    find_last,
    load_ema,
    load_weights,
    resume_path,
)

WEIGHTS = {'a.weight': torch.arange(6.0).reshape(2, 3)}
STATE = {'iteration': 5, 'draw': 40, 'nested': [{'x': torch.ones(2)}, (1, 2)]}


def save(work_dir, iteration, ema=None):
    return save_checkpoint(
        work_dir, iteration, WEIGHTS, {**STATE, 'iteration': iteration}, ema
    )


def visible(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def test_reads_back_what_was_saved(tmp_path):
    folder = save(tmp_path / 'new' / 'run', 5, {'a.weight': torch.zeros(1)})
    assert folder == tmp_path / 'new' / 'run' / 'iter_5'
    assert visible(folder) == [
        'ema.safetensors',
        'training.pt',
        'weights.safetensors',
    ]
    assert load_weights(folder)['a.weight'].equal(WEIGHTS['a.weight'])
    assert load_ema(folder)['a.weight'].equal(torch.zeros(1))
    state = load_state(folder)
    assert state['iteration'] == 5 and state['nested'][1] == (1, 2)
    assert state['nested'][0]['x'].equal(torch.ones(2))
    # and without this library: weights_only, nothing allowed beside
    torch.load(folder / 'training.pt', weights_only=True)
    assert find_last(tmp_path / 'new' / 'run') == folder
    assert load_ema(save(tmp_path, 6)) is None


def test_keeps_tensors_that_share_memory(tmp_path):
    weight = torch.arange(12.0).reshape(3, 4)
    tensors = {'one': weight, 'two': weight, 'part': weight.T[1:3]}
    loaded = load_weights(save_checkpoint(tmp_path, 1, tensors, STATE))
    assert loaded.keys() == tensors.keys()
    assert all(loaded[name].equal(tensors[name]) for name in tensors)


def test_order_of_events(tmp_path, monkeypatch):
    """All is on the disk before it is named; old ones go only after that."""
    save(tmp_path, 1)
    events = []
    fsync, rename, replace = os.fsync, Path.rename, Path.replace
    monkeypatch.setattr('star.utils.files.secrets.token_hex', lambda _: 'x')

    def traced_fsync(descriptor):
        events.append(('sync', os.readlink(f'/proc/self/fd/{descriptor}')))
        fsync(descriptor)

    def traced(method):
        def call(self, target):
            events.append((str(self), str(target)))
            return method(self, target)

        return call

    monkeypatch.setattr(os, 'fsync', traced_fsync)
    monkeypatch.setattr(Path, 'rename', traced(rename))
    monkeypatch.setattr(Path, 'replace', traced(replace))
    save(tmp_path, 2)
    remove_old(tmp_path, 1)
    top = str(tmp_path)
    part, last = f'{top}/.iter_2.part-x', f'{top}/last_checkpoint'
    assert events == [
        ('sync', f'{part}/training.pt'),
        ('sync', f'{part}/weights.safetensors'),
        ('sync', part),
        (part, f'{top}/iter_2'),
        ('sync', top),
        ('sync', f'{top}/.last_checkpoint.part-x'),
        (f'{top}/.last_checkpoint.part-x', last),
        ('sync', top),
        (f'{top}/iter_1', f'{top}/.iter_1.part-x'),
    ]
    assert visible(tmp_path) == ['iter_2', 'last_checkpoint']


def test_failing_disk_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match='No space left'):
        save(tmp_path, 2)
    assert visible(tmp_path) == ['iter_1', 'last_checkpoint']
    assert find_last(tmp_path) == tmp_path / 'iter_1'


@contextmanager
def file_size_limit(count):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


@pytest.mark.parametrize('large', ['weights', 'state', 'ema'])
def test_the_cause_of_a_failure_is_named(tmp_path, large):
    """Whatever the writer of the file makes of what the system says."""
    save(tmp_path, 1)
    parts = {'weights': WEIGHTS, 'state': STATE, 'ema': WEIGHTS}
    parts[large] = {**parts[large], 'large': torch.zeros(100_000)}
    with (
        file_size_limit(50_000),
        pytest.raises(OSError, match='cannot be written: File too l') as error,
    ):
        save_checkpoint(tmp_path, 2, **parts)
    assert str(tmp_path / 'iter_2') in str(error.value)
    assert visible(tmp_path) == ['iter_1', 'last_checkpoint']
    assert find_last(tmp_path) == tmp_path / 'iter_1'


@pytest.mark.parametrize('umask, mode', [(0o022, 0o644), (0o027, 0o640)])
def test_others_may_read_a_checkpoint(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        folder = save(tmp_path, 1, WEIGHTS)
    finally:
        os.umask(before)
    files = [*folder.iterdir(), tmp_path / 'last_checkpoint']
    modes = {stat.S_IMODE(path.stat().st_mode) for path in files}
    assert len(files) == 4 and modes == {mode}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~umask


def test_replaces_a_checkpoint_nothing_points_to(tmp_path):
    """As a run killed between the two renames leaves it."""
    save(tmp_path, 1)
    weights = {'a.weight': torch.ones(4)}
    save_checkpoint(tmp_path, 2, weights, STATE)
    point_to(tmp_path / 'iter_1')
    folder = save(tmp_path, 2)
    assert load_weights(folder)['a.weight'].equal(WEIGHTS['a.weight'])
    assert visible(tmp_path) == ['iter_1', 'iter_2', 'last_checkpoint']


def test_removes_the_oldest(tmp_path):
    for iteration in (2, 9, 10, 100):
        save(tmp_path, iteration)
    (tmp_path / 'iter_x').mkdir()
    remove_old(tmp_path, 2)
    kept = ['iter_10', 'iter_100', 'iter_x', 'last_checkpoint']
    assert visible(tmp_path) == kept
    point_to(tmp_path / 'iter_10')  # is never removed
    remove_old(tmp_path, 1)
    assert visible(tmp_path) == kept


def test_removes_what_a_killed_process_left(tmp_path):
    save(tmp_path, 1)
    for name in ('.iter_2.part-12', '.iter_1.part-3'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'training.pt').touch()
    (tmp_path / '.last_checkpoint.part-7').touch()
    (tmp_path / '.mine').touch()
    (tmp_path / '.mine.part-1').touch()
    remove_leftovers(tmp_path)
    assert visible(tmp_path) == [
        '.mine',
        '.mine.part-1',
        'iter_1',
        'last_checkpoint',
    ]


def test_a_moved_folder_is_found(tmp_path):
    save(tmp_path / 'a', 3)
    (tmp_path / 'a').rename(tmp_path / 'b')
    assert find_last(tmp_path / 'b') == tmp_path / 'b' / 'iter_3'


def test_nothing_to_resume(tmp_path):
    assert find_last(tmp_path) is None
    for folder in (tmp_path, tmp_path / 'absent'):
        with pytest.raises(ValueError, match=r'nothing to resume: .*resume'):
            resume_path(folder)
    folder = save(tmp_path, 3)
    assert resume_path(tmp_path) == resume_path(folder) == folder


@pytest.mark.parametrize('target', ['iter_7', 'run.pth'])
def test_refuses_a_pointer_to_nothing(tmp_path, target):
    (tmp_path / 'last_checkpoint').write_text(target)
    (tmp_path / 'run.pth').touch()  # as mmengine's hook has it
    with pytest.raises(ValueError, match='is no checkpoint folder'):
        find_last(tmp_path)


def run_config(tmp_path):
    return Config(
        {
            'resume': True,
            'train_cfg': {'max_iters': 9},
            'optim_wrapper': {'optimizer': {'lr': 0.1}},
            'default_hooks': {'checkpoint': {'type': 'SafeCheckpointHook'}},
            'train_dataloader': {'sampler': {'type': 'DrawSampler'}},
        }
    )


def test_sets_a_config_to_resume(tmp_path):
    config = run_config(tmp_path)
    state = {**STATE, 'config': describe_config(config)}
    folder = save_checkpoint(tmp_path, 5, WEIGHTS, state)
    set_resume(config, folder)
    assert config.default_hooks.checkpoint.resume_from == str(folder)
    assert 'changes' not in config.default_hooks.checkpoint
    assert config.train_dataloader.sampler.start == 40
    assert config.resume is False
    set_resume(config, folder, ['model.*'])
    assert config.default_hooks.checkpoint.changes == ['model.*']
    config.optim_wrapper.optimizer.lr = 0.2
    with pytest.raises(ValueError, match='of another config: '):
        set_resume(config, folder)
    set_resume(config, None)
    assert config.default_hooks.checkpoint == {'type': 'SafeCheckpointHook'}
    assert config.train_dataloader.sampler == {'type': 'DrawSampler'}


class Evil:
    def __reduce__(self):
        return os.mkdir, ('evil',)


@pytest.mark.parametrize('damage', ['code', 'noise', 'cut', 'gone'])
@pytest.mark.parametrize('name', ['training.pt', 'weights.safetensors'])
def test_refuses_damaged_files(tmp_path, monkeypatch, damage, name):
    monkeypatch.chdir(tmp_path)
    folder = save(tmp_path, 5)
    path = folder / name
    if damage == 'code':
        torch.save(Evil(), path)
    elif damage == 'noise':
        path.write_bytes(pickle.dumps(Evil())[5:])
    elif damage == 'cut':
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.unlink()
    load = load_state if name == 'training.pt' else load_weights
    reason = rf'{name}: .*(cannot be read|is damaged)'
    with pytest.raises(ValueError, match=reason) as info:
        load(folder)
    assert '\n' not in str(info.value)
    assert not (tmp_path / 'evil').exists()


def test_plain_refuses_what_would_not_load(tmp_path):
    assert plain({'a': [1, (2.0, None)]}) == {'a': [1, (2.0, None)]}
    with pytest.raises(TypeError, match=r'state\.a\.1 cannot be saved: .*Evi'):
        plain({'a': [1, Evil()]})
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path, 1, WEIGHTS, {'a': Evil()})
    assert visible(tmp_path) == []
