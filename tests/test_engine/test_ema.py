from types import SimpleNamespace

import pytest
import torch
from torch import nn

from star.engine.ema import TrainedEMAHook


def make_runner(dtype=torch.float32):
    """A model with one trained and one frozen weight."""
    model = nn.ModuleDict({'a': nn.Linear(1, 2), 'b': nn.Linear(1, 2)})
    model['b'].requires_grad_(False)
    model['a'].bias.requires_grad_(False)
    return SimpleNamespace(model=model.to(dtype), iter=0, hooks=[])


def train(hook, runner, values):
    for value in values:
        with torch.no_grad():
            runner.model['a'].weight.fill_(value)
        hook.after_train_iter(runner, 0)
        runner.iter += 1


def test_average_by_hand():
    hook, runner = TrainedEMAHook(decay=0.25), make_runner()
    train(hook, runner, [1.0, 2.0, 4.0, 8.0])
    average = 1.0
    # (1 + n) / (10 + n) for n = 1, 2, then the limit: 4/13 > 0.25
    for value, decay in ((2, 2 / 11), (4, 3 / 12), (8, 0.25)):
        average = decay * average + (1 - decay) * value
    assert hook.averages.keys() == {'a.weight'}
    torch.testing.assert_close(
        hook.averages['a.weight'], torch.full((2, 1), average)
    )


def test_begins_later():
    hook, runner = TrainedEMAHook(begin=2), make_runner()
    train(hook, runner, [1.0, 2.0])
    assert hook.averages == {}
    train(hook, runner, [5.0])
    assert hook.averages['a.weight'].eq(5).all()


def test_averages_are_float32_and_come_back_exactly():
    hook, runner = TrainedEMAHook(decay=0.9), make_runner(torch.bfloat16)
    train(hook, runner, [1.0, 1.1, 1.2])
    average = hook.averages['a.weight'].clone()
    assert average.dtype == torch.float32
    own = runner.model['a'].weight.clone()
    hook.before_val_epoch(runner)
    swapped = runner.model['a'].weight
    assert swapped.equal(average.bfloat16()) and not swapped.equal(own)
    hook.after_val_epoch(runner)
    assert runner.model['a'].weight.equal(own)
    assert hook.averages['a.weight'].equal(average)


def test_validation_sees_the_average():
    hook, runner = TrainedEMAHook(decay=0.5), make_runner()
    train(hook, runner, [0.0, 0.0, 1.0])
    hook.before_val_epoch(runner)
    assert runner.model['a'].weight.eq(hook.averages['a.weight']).all()
    assert not runner.model['a'].weight.eq(1).any()
    hook.after_val_epoch(runner, {})
    assert runner.model['a'].weight.eq(1).all()


def test_no_average_no_change():
    hook, runner = TrainedEMAHook(begin=9), make_runner()
    train(hook, runner, [1.0, 2.0])
    hook.before_val_epoch(runner)
    assert runner.model['a'].weight.eq(2).all()
    hook.after_val_epoch(runner)
    assert runner.model['a'].weight.eq(2).all()


def test_loading_copies():
    hook, runner = TrainedEMAHook(), make_runner()
    source = {'a.weight': torch.ones(2, 1)}
    hook.load(runner.model, source)
    source['a.weight'].zero_()
    assert hook.averages['a.weight'].eq(1).all()
    with pytest.raises(ValueError, match=r'do not fit: 1 missing \(a\.weight'):
        hook.load(runner.model, {})


def test_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match='`decay` must be in'):
        TrainedEMAHook(decay=1)
    with pytest.raises(ValueError, match='`begin` must not be negative'):
        TrainedEMAHook(begin=-1)
