"""Schedules that fit into the length of a training, and those that do not."""

import pytest
from mmengine.config import Config

from star.apis.train.schedules import Length, check_length, check_schedules

ITERATIONS, EPOCHS = Length(50), Length(None, 3)
LINEAR = {'type': 'LinearLR', 'by_epoch': False}
COSINE = {'type': 'CosineAnnealingLR', 'by_epoch': False}


def check(schedules, length):
    check_schedules(Config({'param_scheduler': schedules}), length)


@pytest.mark.parametrize(
    ('schedules', 'length'),
    [
        (None, ITERATIONS),
        ([], ITERATIONS),
        (LINEAR, ITERATIONS),
        ([{**LINEAR, 'end': 50}], ITERATIONS),
        ([{**LINEAR, 'end': 10}, {**COSINE, 'begin': 10}], ITERATIONS),
        ([{**COSINE, 'begin': 10, 'T_max': 40}], ITERATIONS),
        ([{**COSINE, 'T_max': 100, 'end': 50}], ITERATIONS),
        ([{**LINEAR, 'end': 10**9}], ITERATIONS),
        (
            [{'type': 'LinearLR', 'end': 99, 'convert_to_iter_based': True}],
            ITERATIONS,
        ),
        ([{'type': 'LinearLR', 'end': 3}], EPOCHS),
        ([{**LINEAR, 'end': 5000}], EPOCHS),  # only the data know
        ({'generator': [LINEAR]}, ITERATIONS),
    ],
)
def test_schedules_that_fit(schedules, length):
    check(schedules, length)


@pytest.mark.parametrize(
    ('schedule', 'length', 'words'),
    [
        ({**LINEAR, 'end': 100}, ITERATIONS, 'iteration 0 to 100'),
        ({**LINEAR, 'begin': 50}, ITERATIONS, 'iteration 50 to the end'),
        ({**COSINE, 'T_max': 100}, ITERATIONS, 'iteration 0 to 100'),
        ({**COSINE, 'begin': 20, 'T_max': 31}, ITERATIONS, '20 to 51'),
        (
            {'type': 'MultiStepLR', 'milestones': [9, 60], 'by_epoch': False},
            ITERATIONS,
            'iteration 0 to 60',
        ),
        ({**LINEAR, 'begin': 9, 'end': 9}, ITERATIONS, '9 to 9'),
        ({'type': 'LinearLR', 'end': 5}, ITERATIONS, '.by_epoch=False'),
        ({'type': 'LinearLR', 'end': 5}, EPOCHS, 'epoch 0 to 5'),
        (3, ITERATIONS, 'must be a dictionary'),
        ({'end': 3}, ITERATIONS, 'must be a dictionary'),
    ],
)
def test_schedules_that_do_not_fit(schedule, length, words):
    with pytest.raises(ValueError, match=r'^param_scheduler\.0') as caught:
        check([schedule], length)
    line = str(caught.value)
    assert words in line and len(line.splitlines()) == 1


def test_every_schedule_that_does_not_fit_is_named():
    schedules = [{**LINEAR, 'end': 100}, {**COSINE, 'begin': 100}]
    with pytest.raises(ValueError) as caught:
        check(schedules, ITERATIONS)
    line = str(caught.value)
    assert 'param_scheduler.0 (LinearLR)' in line
    assert 'param_scheduler.1 (CosineAnnealingLR)' in line
    assert line.count('train_cfg.max_iters is 50') == 2
    assert 'set train_cfg.max_iters to at least 101' in line


def config(sampler='DrawSampler', **loop):
    return Config(
        {
            'train_cfg': loop,
            'train_dataloader': {'sampler': {'type': sampler}},
        }
    )


def test_length():
    kind = {'type': 'IterBasedTrainLoop', 'max_iters': 7}
    assert check_length(config(**kind)) == Length(7)
    assert check_length(config(by_epoch=False, max_iters=7)) == Length(7)
    kind = {'type': 'EpochBasedTrainLoop', 'max_epochs': 2}
    found = check_length(config('DefaultSampler', **kind))
    assert found == Length(None, 2) and found.key == 'train_cfg.max_epochs'
    assert check_length(config(type='MyLoop', steps=3)) == Length(None)


@pytest.mark.parametrize(
    ('loop', 'words'),
    [
        ({'type': 'EpochBasedTrainLoop', 'max_iters': 3}, 'have max_epochs'),
        ({'type': 'IterBasedTrainLoop', 'max_epochs': 3}, 'have max_iters'),
        (
            {'type': 'IterBasedTrainLoop', 'max_epochs': 3, 'max_iters': 3},
            'max_epochs and max_iters',
        ),
        ({'type': 'IterBasedTrainLoop'}, 'neither'),
        ({'max_iters': 3}, 'needs a `type`'),
        ({'type': 'EpochBasedTrainLoop', 'max_epochs': 2}, 'never ends one'),
    ],
)
def test_loops_that_contradict_themselves(loop, words):
    with pytest.raises(ValueError, match=r'^train_cfg') as caught:
        check_length(config(**loop))
    assert words in str(caught.value)
