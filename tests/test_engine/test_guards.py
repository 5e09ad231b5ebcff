import pytest
import torch

from star.engine.guards import NonFiniteGuardHook, all_finite
from star.utils.checkpoint_folder import find_last, load_weights
from tests.test_engine.toy import read_losses, start, toy_config


def guarded(tmp_path, bad, kind='value', **options):
    """A run of which some draws make the loss non-finite; 3 per iteration."""
    return toy_config(
        tmp_path,
        **{
            'train_dataloader.dataset.bad': bad,
            'model.kind': kind,
            'default_hooks.checkpoint.max_keep': 9,
            **options,
        },
    )


def weights(tmp_path, iteration):
    return load_weights(tmp_path / f'iter_{iteration}')


def same_parameters(first, second):
    names = ('net.0.weight', 'net.0.bias', 'net.1.weight', 'net.1.bias')
    return [name for name in names if first[name].equal(second[name])]


@pytest.mark.parametrize('kind', ['value', 'loss'])
@pytest.mark.parametrize('clip', [{'max_norm': 1.0}, None])
def test_skips_bad_steps(tmp_path, kind, clip):
    """Not a NaN loss, nor an infinite one whose gradient is finite."""
    config = guarded(tmp_path, (7, 8, 12), kind, max_iters=6)
    config.optim_wrapper.clip_grad = clip
    runner = start(config)
    finite = [
        torch.tensor(loss).isfinite() for _, loss in read_losses(tmp_path)
    ]
    assert finite == [True, True, False, True, False, True]
    for iteration, same in ((2, 0), (3, 4), (4, 0), (5, 4), (6, 0)):
        before = weights(tmp_path, iteration - 1)
        equal = same_parameters(before, weights(tmp_path, iteration))
        assert len(equal) == same, iteration
    state = runner.optim_wrapper.optimizer.state
    assert {int(s['step']) for s in state.values()} == {4}  # of six


def test_stops_after_too_many_in_a_row(tmp_path):
    bad = (1, *range(9, 99))  # iteration 1, then all from iteration 4 on
    with pytest.raises(RuntimeError) as info:
        start(guarded(tmp_path, bad))
    message = str(info.value)
    assert message.startswith(
        'loss or gradient is not finite at iteration 6, samples: '
        'draw15, draw16, draw17; the run stops after 3 skipped steps'
    )
    last = find_last(tmp_path)
    assert last.name == 'iter_5'  # of the weights after iteration 3
    assert len(same_parameters(weights(tmp_path, 3), load_weights(last))) == 4
    assert all(t.isfinite().all() for t in load_weights(last).values())


def test_accumulated_gradients_count_once(tmp_path):
    """One bad batch of two spoils their step; both batches are one step."""
    options = {
        'optim_wrapper.accumulative_counts': 2,
        'default_hooks.checkpoint.interval': 2,
        'custom_hooks.2.patience': 2,
    }
    with pytest.raises(
        RuntimeError, match='at iteration 6, samples: draw'
    ) as e:
        start(guarded(tmp_path, (7, 12), **options))
    assert 'samples: draw12, draw13, draw14; the run' in str(e.value)
    assert (
        len(same_parameters(weights(tmp_path, 2), weights(tmp_path, 4))) == 4
    )


def test_all_finite():
    assert all_finite([])
    assert all_finite([torch.ones(3), torch.zeros(2, 2)])
    assert not all_finite([torch.ones(3), torch.tensor([1.0, torch.nan])])
    assert not all_finite([torch.tensor(-torch.inf)])


def test_refuses_no_patience():
    with pytest.raises(ValueError, match='`patience` must be at least 1'):
        NonFiniteGuardHook(patience=0)
