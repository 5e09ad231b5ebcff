"""The memory of tensors, counted while work runs."""

import torch

from star.utils.memory_counter import MemoryCounter

MIB = 2**20


def test_counts_what_lives_at_once():
    with MemoryCounter() as counter:
        a = torch.zeros(MIB)  # float32: 4 MiB
        b = a.view(2, -1)  # the same memory
        assert counter.now == 4 * MIB
        for _ in range(3):
            torch.ones(2 * MIB, dtype=torch.uint8).sum()
        assert 4 * MIB <= counter.now < 5 * MIB
        del a, b
        assert counter.now < MIB
    assert 6 * MIB <= counter.peak < 7 * MIB


def test_numbers_without_content():
    """A whole number is 0, another 1, whatever the tensors hold."""
    with MemoryCounter():
        assert torch.full((1,), 5).item() == 0
        assert torch.full((1,), 5.0).item() == 1


def test_views_of_weights_are_no_new_memory():
    layer, x = torch.nn.Linear(1024, 1024), torch.zeros(1, 1024)
    with MemoryCounter() as counter, torch.inference_mode():
        layer.weight.t()
        x.add_(1)
        out = layer(x)
    assert counter.peak == out.nbytes
