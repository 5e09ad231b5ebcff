import pytest
import torch

from star.models.layers.step_memory import StepMemory


def test_reuses_while_the_first_features_change_little():
    memory = StepMemory(0.1)
    base = torch.full((2, 3), 10.0)
    deep = torch.arange(3.0)
    decisions = []
    for change in (0, 0.9, 0.9, 1.1, 0.5, 2.3):
        memory.begin()
        decisions.append(memory.decide(base + change))
        if not decisions[-1]:
            memory.keep(deep + change)
    # against the last whole run: 0, 0, 0, then 1.1, 1.1, then 2.3
    assert decisions == [False, True, True, False, True, False]
    assert (memory.calls, memory.reused) == (6, 3)
    assert torch.equal(memory.recall(base), deep + 2.3)


def test_the_first_network_of_a_call_decides():
    memory = StepMemory(0.1)
    one = torch.ones(4)
    for expected in (False, True):
        memory.begin()
        assert memory.decide(one) is expected
        assert memory.decide(100 * one) is expected
        memory.keep(one)


def test_numbers_that_are_none_are_computed_anew():
    memory = StepMemory(1)
    for value in (1.0, float('nan'), 0.0, 0.0):
        memory.begin()
        assert not memory.decide(torch.full((2,), value))
    memory.begin()
    assert not memory.decide(torch.zeros(3))  # another shape


def test_nothing_is_kept_yet():
    with pytest.raises(AssertionError):
        StepMemory(1).recall(torch.ones(1))
