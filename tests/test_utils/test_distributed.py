"""Calls that other processes do; see tests/ranks.py."""

import os
from itertools import count, repeat

import pytest
import torch

from star.utils import distributed
from star.utils.distributed import LostProcessError, Team, spread_over
from tests.ranks import run_ranks


def power(x, exponent):
    if x.numel() == 0:
        raise ValueError('`x` is empty')
    return x**exponent, os.getpid()


CALLS = {'power': power, 'end': lambda: os._exit(0)}


def start(lead, ranks=2):
    """Run `lead(team)` in rank 0, and what serves it in the others."""

    def work():
        torch.set_num_threads(1)
        distributed.connect()
        if int(os.environ['RANK']):
            distributed.serve(lambda name, args: CALLS[name](*args))
        else:
            team = Team(ranks)
            team.check()
            lead(team)
            team.close()
        distributed.disconnect()

    return run_ranks(work, ranks)


def test_calls_are_shared_and_their_errors_come_back():
    x = torch.arange(10.0).view(5, 2).t()  # views with strides of their own

    def lead(team):
        spread = spread_over(team, 'power')
        found = list(spread(power, x.split(1, 1), repeat(2)))
        powers, processes = zip(*found, strict=True)
        assert torch.equal(torch.cat(powers, 1), x**2)
        here, *others = processes[:3]
        assert here == os.getpid() and len({here, *others}) == 3
        assert processes[3:] == (here, others[0])  # the same ones each time
        for empty in (0, 1):  # here or elsewhere
            xs = [x[:, :0] if i == empty else x for i in range(3)]
            with pytest.raises(ValueError, match='`x` is empty'):
                list(spread(power, xs, count()))
        assert len(list(spread(power, [x], [1]))) == 1

    assert start(lead, ranks=3) == 0


def test_the_end_of_a_process_is_an_error(monkeypatch):
    monkeypatch.setattr(distributed, 'SIGNALS', 0)

    def lead(team):
        with pytest.raises(LostProcessError, match='process 1 of 2 has ended'):
            team.tell('end')
        team.close()  # does not wait for it

    assert start(lead) == 0


def test_without_a_team_there_is_map():
    assert spread_over(None, 'power') is map


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.uint16, torch.int64])
def test_tensors_keep_numbers_and_strides(dtype, monkeypatch):
    sent = []
    monkeypatch.setattr(distributed.dist, 'send', lambda x, _: sent.append(x))
    whole = torch.arange(4000).view(2, 50, 5, 8).to(dtype)
    frames = whole[:, :3].to(memory_format=torch.channels_last)
    distributed.send((frames, whole[0, 0, 0, 0], whole[:0]), 1)
    assert len(sent[1]) < 2 * frames.nbytes + 2000  # not all of `whole`
    monkeypatch.setattr(
        distributed.dist, 'recv', lambda x, _: x.copy_(sent.pop(0))
    )
    found, number, empty = distributed.receive(1)
    assert found.dtype == dtype and found.stride() == frames.stride()
    assert torch.equal(found, frames) and number == whole[0, 0, 0, 0]
    assert empty.shape == (0, 50, 5, 8)
