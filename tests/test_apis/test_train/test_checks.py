"""Settings of a training that contradict each other."""

import pytest

from star.apis.inference.build import load_config
from star.apis.train import checks
from star.apis.train.checks import check_training
from star.apis.train.numbers import check_number, check_numbers


@pytest.fixture
def config():
    return load_config('tiny')


def refusal(config, **changes):
    config.merge_from_dict(
        {k.replace('__', '.'): v for k, v in changes.items()}
    )
    with pytest.raises(ValueError) as caught:
        check_training(config)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    return line


def test_shipped_training_fits(config):
    check_training(config)


def test_no_training_at_all():
    check_training(load_config('bicubic'))


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'train_cfg__max_iters': 2.5}, 'train_cfg.max_iters must be a whole'),
        ({'train_dataloader__batch_size': 0}, 'batch_size must be a whole'),
        (
            {'optim_wrapper__optimizer__lr': 'fast'},
            'optimizer.lr must be a nu',
        ),
        ({'train_dataloader__dataset__num_frames': 0}, 'num_frames must be'),
        (
            {'train_dataloader__dataset': None},
            'lacks train_dataloader.dataset',
        ),
        ({'optim_wrapper__optimizer': None}, 'lacks optim_wrapper.optimizer'),
        ({'train_dataloader__num_workers': 0}, 'persistent_workers must be'),
        (
            {
                'train_dataloader__num_workers': 0,
                'train_dataloader__persistent_workers': False,
                'train_dataloader__prefetch_factor': 2,
            },
            'prefetch_factor must be None',
        ),
        ({'default_hooks__mine': 3}, 'default_hooks.mine must be a dict'),
        ({'custom_hooks': [{'interval': 3}]}, 'custom_hooks.0 must be a dict'),
        (
            {'custom_hooks': ['EMAHook'], 'strategy': {'type': 'FSDP'}},
            'custom_hooks.0 must be a dict',
        ),
        ({'strategy': 'FSDPStrategy'}, 'strategy must be a dictionary'),
        ({'val_dataloader': 'mine'}, 'val_dataloader must be a dictionary'),
        ({'runner_type': ['Runner']}, '`runner_type` must be one of'),
        (
            {'default_hooks__ema': {'type': 'TrainedEMAHook', 'begin': 300}},
            'default_hooks.ema.begin must be below train_cfg.max_iters = 300',
        ),
        (
            {'custom_hooks': [{'type': 'EMAHook', 'begin_iter': 400}]},
            'custom_hooks.0.begin_iter must be below',
        ),
        (
            {'optim_wrapper__accumulative_counts': 3},
            'interval must be a multiple of '
            'optim_wrapper.accumulative_counts = 3, got 500',
        ),
        (
            {
                'param_scheduler': [
                    {'type': 'LinearLR', 'by_epoch': False, 'end': 301}
                ]
            },
            'param_scheduler.0 (LinearLR) goes from iteration 0 to 301, but '
            'train_cfg.max_iters is 300',
        ),
        (
            {'train_dataloader__dataset__pipeline__1__height': 96},
            'height must be 8 more than a multiple of 16',
        ),
        ({'model__backbone__dmi': 3}, "'dmi'"),
        ({'model__type': 'Nothing'}, 'Nothing is not in the'),
    ],
)
def test_contradictions(config, changes, words):
    assert words in refusal(config, **changes)


def test_values_that_may_be_none():
    check_number('train_dataloader.dataset.num_frames', None)
    check_number('param_scheduler.0.T_max', None)
    check_number('no.rule', 'for it')
    check_numbers({'test_dataloader': {'dataset': {'num_frames': None}}})
    with pytest.raises(ValueError, match=r'datasets\.1\.num_frames must'):
        check_numbers({'train': {'datasets': [{}, {'num_frames': True}]}})


def test_an_optimiser_wrapper_that_needs_a_gpu(config, monkeypatch):
    config.optim_wrapper.type = 'AmpOptimWrapper'
    for device in ('cpu', 'cuda'):
        monkeypatch.setattr(checks, 'get_device', lambda d=device: d)
        check_training(config)  # a dry run may be elsewhere
        if device == 'cuda':
            checks.check_device(config)
            continue
        with pytest.raises(ValueError, match='AmpOptimWrapper needs a GPU'):
            checks.check_device(config)
