from collections import Counter

import numpy as np
import pytest

from star.datasets.sampling import RandomItems


def test_every_epoch_is_a_permutation_of_its_own():
    items = RandomItems(50, seed=3)
    epochs = [[items.clip(50 * e + i) for i in range(50)] for e in range(20)]
    assert all(sorted(order) == list(range(50)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 20
    firsts = Counter(order[0] for order in epochs)
    assert len(firsts) > 10


def test_an_item_depends_on_seed_and_number_alone():
    forward = [RandomItems(7, 1).clip(i) for i in range(30)]
    items = RandomItems(7, 1)
    assert [items.clip(i) for i in reversed(range(30))] == forward[::-1]
    assert [RandomItems(7, 2).clip(i) for i in range(30)] != forward
    state = items.rng(4).bit_generator.state
    items.rng(5).random(3)
    assert items.rng(4).bit_generator.state == state
    expected = np.random.default_rng((1, 4)).random(5)
    assert np.array_equal(items.rng(4).random(5), expected)
    assert np.array_equal(items.rng(np.int64(4)).random(5), expected)


def test_generators_differ():
    firsts = [
        RandomItems(9, s).rng(n).random() for s in range(5) for n in range(50)
    ]
    assert len(set(firsts)) == 250


def test_order_does_not_share_the_generators():
    """An epoch's order does not equal a permutation that an item draws."""
    order = [RandomItems(100, 0).clip(i) for i in range(100)]
    for number in range(5):
        assert list(RandomItems(100, 0).rng(number).permutation(100)) != order


def test_errors():
    with pytest.raises(ValueError, match='`num_clips` must be >= 1, got 0'):
        RandomItems(0, 0)
    with pytest.raises(ValueError, match='`seed` must be >= 0, got -1'):
        RandomItems(3, -1)
    for call in (RandomItems(3, 0).clip, RandomItems(3, 0).rng):
        with pytest.raises(ValueError, match='`number` must be >= 0, got -2'):
            call(-2)
