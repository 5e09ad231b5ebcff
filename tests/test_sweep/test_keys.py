"""Keys that a config has, and keys that it lacks."""

import pytest
from mmengine.config import Config

from star.sweep.keys import accepts, check_key, check_value, name_keys

CONFIG = Config(
    {
        'model': {
            'type': 'STARModel',
            'losses': {'frequency': {'type': 'DynamicFrequencyLoss'}},
            'restore_options': {},
        },
        'train_dataloader': {
            'batch_size': 1,
            'dataset': {
                'type': 'CaptionedFolder',
                'pipeline': [{'type': 'RandomCropClip', 'height': 8}],
            },
        },
        'optim_wrapper': {
            'type': 'OptimWrapper',
            'optimizer': {'type': 'AdamW', 'lr': 1},
        },
        'train_cfg': {'type': 'IterBasedTrainLoop', 'max_iters': 1},
        'randomness': {'seed': 0},
        'param_scheduler': [{'type': 'LinearLR', 'end': 5}],
        'test_dataloader': None,
    }
)


@pytest.mark.parametrize(
    'key',
    [
        'model.losses.frequency.cutoff',  # a default of the class
        'model.restore_options.steps',  # left to building
        'model.losses.perceptual',
        'train_dataloader.batch_size',
        'train_dataloader.drop_last',
        'train_dataloader.dataset.pipeline.0.height',
        'optim_wrapper.optimizer.betas',
        'optim_wrapper.clip_grad',
        'train_cfg.max_iters',
        'randomness.deterministic',
        'param_scheduler.0.end',
        'param_scheduler.0.start_factor',
    ],
)
def test_settings(key):
    check_key(CONFIG, key)


@pytest.mark.parametrize(
    ('key', 'hint'),
    [
        ('modle.losses', "did you mean 'model'"),
        ('model.losses.frequency.alfa', ''),
        ('model.looses.frequency', "did you mean 'losses'"),
        ('train_dataloader.bach_size', "did you mean 'batch_size'"),
        ('train_dataloader.dataset.pipeline.1.height', ''),
        ('optim_wrapper.optimizer.momentum', ''),
        ('train_cfg.max_iter', "did you mean 'max_iters'"),
        ('train_cfg.max_iters.more', ''),
        ('randomness.sed', "did you mean 'seed'"),
        ('model.losses.frequency.type.x', ''),
        ('model.type.x', ''),
        ('param_scheduler.end', ''),
        ('param_scheduler.0.endd', "did you mean 'end'"),
        ('param_scheduler.1.end', ''),
        ('test_dataloader.batch_size', ''),
        ('val_dataloader.dataset.0.x', "did you mean 'train_dataloader'"),
        ('custom_hooks.0.interval', ''),
        ('model.', ''),
        ('.model', ''),
        ('', ''),
    ],
)
def test_no_settings(key, hint):
    with pytest.raises(ValueError, match='config has no setting') as error:
        check_key(CONFIG, key)
    assert repr(key) in str(error.value)
    assert str(error.value).endswith(f': {hint}?' if hint else f"{key}'")


@pytest.mark.parametrize('config', [{}, {'model': None}, {'model': {'a': 1}}])
@pytest.mark.parametrize('key', ['model.x', 'modle.a', 'param_scheduler.0.x'])
def test_configs_that_lack_nearly_all(config, key):
    with pytest.raises(ValueError, match='config has no setting') as error:
        check_key(Config(config), key)
    assert repr(key) in str(error.value)


@pytest.mark.parametrize(
    ('key', 'value', 'fits'),
    [
        ('model.losses', None, True),
        ('model.losses', 1, False),
        ('model.losses', {'frequency': None}, True),
        ('model', None, False),
        ('train_dataloader.dataset.pipeline.0', 1, False),
        ('train_dataloader.batch_size', 2, True),
        ('optim_wrapper.clip_grad', {'max_norm': 1}, True),
        ('optim_wrapper.clip_grad.max_norm', 1, True),
    ],
)
def test_values_of_entries(key, value, fits):
    if fits:
        check_value(CONFIG, key, value)
        return
    with pytest.raises(ValueError, match='is a dictionary and cannot be'):
        check_value(CONFIG, key, value)


@pytest.mark.parametrize(
    ('keys', 'text', 'expected'),
    [
        (['a.b', 'c', 'c'], 'no model', 'no model; the sweep sets a.b, c'),
        (['a.b'], 'a.b is wrong', 'a.b is wrong'),
        ([], 'wrong', 'wrong'),
    ],
)
def test_errors_name_the_keys(keys, text, expected):
    with pytest.raises(ValueError, match=text) as error, name_keys(keys):
        raise ValueError(text)
    assert str(error.value) == expected


def test_arguments():
    def named(a, b=1): ...
    def passing(**rest): ...

    assert accepts(named, 'b') and not accepts(named, 'c')
    assert accepts(passing, 'c')


def test_arguments_that_are_passed_on():
    class Base:
        def __init__(self, a=1): ...

    class Passing(Base):
        def __init__(self, b=1, **rest):
            super().__init__(**rest)

    class Open:
        def __init__(self, **rest): ...

    assert [accepts(Passing, name) for name in 'abc'] == [True, True, False]
    assert accepts(Open, 'c')
