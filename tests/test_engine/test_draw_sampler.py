import pytest
from torch.utils.data import BatchSampler

from star.engine import draw_sampler
from star.engine.draw_sampler import DrawSampler
from star.registry import STOCK


def batches(monkeypatch, rank, world_size, batch_size, count, start=0):
    """The first batches of draws on one rank."""
    monkeypatch.setattr(
        draw_sampler, 'get_dist_info', lambda: (rank, world_size)
    )
    sampler = DrawSampler(range(10), start=start)
    endless = iter(BatchSampler(sampler, batch_size, drop_last=True))
    return [next(endless) for _ in range(count)]


def test_draws_of_one_process(monkeypatch):
    assert batches(monkeypatch, 0, 1, 3, 4) == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
        [9, 10, 11],  # beyond the data set's length: a second epoch
    ]


@pytest.mark.parametrize('world_size, batch_size', [(2, 3), (3, 2), (6, 1)])
def test_ranks_share_the_global_batch(monkeypatch, world_size, batch_size):
    """Iteration k takes the same six draws on any number of ranks."""
    of_ranks = [
        batches(monkeypatch, rank, world_size, batch_size, 5)
        for rank in range(world_size)
    ]
    for k in range(5):
        taken = [draw for rank in of_ranks for draw in rank[k]]
        assert sorted(taken) == list(range(6 * k, 6 * k + 6))
    for rank, own in enumerate(of_ranks):
        for k in range(5):
            first = k * batch_size * world_size + rank
            assert own[k] == [
                first + i * world_size for i in range(batch_size)
            ]


def test_starts_where_another_run_stood(monkeypatch):
    """Three batches by two ranks, then the rest by three with other sizes."""
    monkeypatch.setattr(draw_sampler, 'get_dist_info', lambda: (1, 2))
    position = DrawSampler(range(10), start=4).position(3, batch_size=5)
    assert position == 4 + 3 * 5 * 2
    taken = [
        draw
        for rank in range(3)
        for batch in batches(monkeypatch, rank, 3, 2, 2, start=position)
        for draw in batch
    ]
    assert sorted(taken) == list(range(position, position + 12))


def test_length_is_one_epoch_of_a_rank(monkeypatch):
    monkeypatch.setattr(draw_sampler, 'get_dist_info', lambda: (0, 4))
    assert len(DrawSampler(range(10))) == 3


def test_refuses_a_negative_start():
    with pytest.raises(ValueError, match='`start` must not be negative'):
        DrawSampler(range(3), start=-1)


def test_is_built_as_the_runner_does():
    sampler = STOCK['DATA_SAMPLERS'].build(
        {'type': 'DrawSampler', 'start': 7},
        default_args={'dataset': range(3), 'seed': 5},
    )
    assert next(iter(sampler)) == 7
