"""Which changes of a config a resumed run takes, and which it refuses."""

import pytest
from mmengine.config import Config

from star.engine import resuming
from star.engine.resuming import (
    check_resume,
    check_stock_resume,
    describe_config,
)
from tests.test_engine.toy import toy_config


def config(**changes):
    return toy_config('work', 10, **changes)


def check(tmp_path, changes, may_differ=(), iteration=4, saved=None):
    state = {'config': describe_config(config()), 'iteration': iteration}
    state['config'] |= saved or {}
    return check_resume(tmp_path, state, config(**changes), may_differ)


def test_describes_a_config_flat():
    settings = Config(
        {
            'model': {'dims': (1, 2), 'vae': {'pretrained': 'x'}},
            'param_scheduler': [{'end': 5}],
            'train_dataloader': {'batch_size': 3, 'sampler': {'start': 7}},
            'auto_scale_lr': {'enable': True, 'base_batch_size': 8},
            'work_dir': 'here',
        }
    )
    assert describe_config(settings) == {
        'model.dims.0': '1',
        'model.dims.1': '2',
        'model.vae.pretrained': "'x'",
        'param_scheduler.0.end': '5',
        'train_dataloader.batch_size': '3',
        'auto_scale_lr.enable': 'True',
        'auto_scale_lr.base_batch_size': '8',
        'auto_scale_lr.real_batch_size': '3',
    }
    assert describe_config(Config({'model': None})) == {}


def test_the_real_batch_is_that_of_all_ranks(monkeypatch):
    monkeypatch.setattr(resuming, 'get_world_size', lambda: 4)
    found = describe_config(config(auto_scale_lr={'enable': True}))
    assert found['auto_scale_lr.real_batch_size'] == '12'


@pytest.mark.parametrize(
    'changes, named',
    [
        ({}, {}),
        (
            {'train_cfg.max_iters': 20, 'train_dataloader.num_workers': 2},
            {
                'train_cfg.max_iters': '10 -> 20',
                'train_dataloader.num_workers': '0 -> 2',
            },
        ),
        (
            {'custom_hooks.1.decay': 0.5},
            {'custom_hooks.1.decay': '0.9 -> 0.5'},
        ),
        ({'model.pretrained': 'x'}, {'model.pretrained': "not set -> 'x'"}),
    ],
)
def test_what_may_always_change(tmp_path, changes, named):
    assert check(tmp_path, changes) == named


KEYS = [
    ('model.width', 9),
    ('optim_wrapper.optimizer.lr', 0.2),
    ('optim_wrapper.optimizer.weight_decay', 0.2),
    ('optim_wrapper.clip_grad.max_norm', 0.2),
    ('optim_wrapper.accumulative_counts', 2),
    ('optim_wrapper.type', 'AmpOptimWrapper'),
    ('param_scheduler.1.T_max', 20),
    ('train_dataloader.batch_size', 2),
    ('train_dataloader.dataset.bad', (7,)),
    ('train_dataloader.collate_fn.type', 'default_collate'),
    ('randomness.deterministic', True),
    ('auto_scale_lr.enable', True),
]


@pytest.mark.parametrize('key, value', KEYS)
def test_what_may_change_if_it_is_named(tmp_path, key, value):
    with pytest.raises(ValueError, match='is of another config') as error:
        check(tmp_path, {key: value})
    (line,) = str(error.value).splitlines()
    assert f'{key}' in line and '--cfg-options' in line
    changed = check(tmp_path, {key: value}, (key, f'{key}.*'))
    assert next(name for name in changed if name.startswith(key))


@pytest.mark.parametrize(
    'key, value',
    [
        ('randomness.seed', 2),
        ('randomness.diff_rank_seed', True),
        ('optim_wrapper.optimizer.type', 'SGD'),
        ('train_cfg.type', 'EpochBasedTrainLoop'),
    ],
)
def test_what_would_have_no_effect_is_refused(tmp_path, key, value):
    with pytest.raises(ValueError, match=f'{key} is .*there and') as error:
        check(tmp_path, {key: value}, ('*',))
    assert 'start a new run' in str(error.value)


@pytest.mark.parametrize(
    'changes, reason',
    [
        ({'train_cfg.max_iters': 3}, r'at least 4, .* got 3'),
        (
            {'optim_wrapper.accumulative_counts': 3},
            r'counts` must divide 4, .* got 3',
        ),
    ],
)
def test_the_iteration_must_fit(tmp_path, changes, reason):
    with pytest.raises(ValueError, match=reason):
        check(tmp_path, changes, ('*',))


def test_a_run_that_has_ended_may_end_within_an_accumulation(tmp_path):
    counts = {'optim_wrapper.accumulative_counts': 3}
    assert check(tmp_path, counts, ('*',), iteration=10)


def test_mmengine_itself_cannot_change_the_optimiser(tmp_path):
    group = {'lr': 0.03, 'initial_lr': 0.1, 'betas': (0.9, 0.99)}
    state = {'optimizer': {'param_groups': [group]}}
    betas = {'optim_wrapper.optimizer.betas': [0.9, 0.99]}
    check_stock_resume(tmp_path, state, config(**betas))
    with pytest.raises(ValueError, match=r'lr is 0\.1 there and 0\.2 here'):
        check_stock_resume(
            tmp_path,
            state,
            config(**{'optim_wrapper.optimizer.lr': 0.2, **betas}),
        )
    check_stock_resume(tmp_path, {'state_dict': {}}, config())


def test_older_checkpoints_have_fewer_entries(tmp_path):
    sections = ('model', 'optim_wrapper', 'param_scheduler')
    saved = {
        name: value
        for name, value in describe_config(config()).items()
        if name.startswith(sections)
    }
    state = {'config': saved, 'iteration': 4}
    assert check_resume(tmp_path, state, config(), ()) == {}
    with pytest.raises(ValueError, match=r'lr is 0\.1 there and 0\.2'):
        check_resume(
            tmp_path, state, config(**{'optim_wrapper.optimizer.lr': 0.2}), ()
        )
