"""Keys that a config has, and keys that it lacks."""

import pytest
from mmengine.config import Config

from star.sweep.keys import accepts, check_key

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
    ],
)
def test_no_settings(key, hint):
    with pytest.raises(ValueError, match='config has no setting') as error:
        check_key(CONFIG, key)
    assert repr(key) in str(error.value)
    assert str(error.value).endswith(f': {hint}?' if hint else f"{key}'")


def test_arguments():
    def named(a, b=1): ...
    def passing(**rest): ...

    assert accepts(named, 'b') and not accepts(named, 'c')
    assert accepts(passing, 'c')
