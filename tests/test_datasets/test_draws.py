from collections import Counter

import numpy as np
import pytest

from star.datasets.draws import Draws


def test_every_epoch_is_a_permutation_of_its_own():
    draws = Draws(50, seed=3)
    epochs = [[draws.clip(50 * e + i) for i in range(50)] for e in range(20)]
    assert all(sorted(order) == list(range(50)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 20
    firsts = Counter(order[0] for order in epochs)
    assert len(firsts) > 10


def test_a_draw_depends_on_seed_and_number_alone():
    forward = [Draws(7, 1).clip(i) for i in range(30)]
    draws = Draws(7, 1)
    assert [draws.clip(i) for i in reversed(range(30))] == forward[::-1]
    assert [Draws(7, 2).clip(i) for i in range(30)] != forward
    state = draws.rng(4).bit_generator.state
    draws.rng(5).random(3)
    assert draws.rng(4).bit_generator.state == state
    expected = np.random.default_rng((1, 4)).random(5)
    assert np.array_equal(draws.rng(4).random(5), expected)
    assert np.array_equal(draws.rng(np.int64(4)).random(5), expected)


def test_generators_differ():
    firsts = [Draws(9, s).rng(d).random() for s in range(5) for d in range(50)]
    assert len(set(firsts)) == 250


def test_order_does_not_share_the_generators():
    """An epoch's order is no function of what one of its clips draws."""
    order = [Draws(100, 0).clip(i) for i in range(100)]
    for draw in range(5):
        assert list(Draws(100, 0).rng(draw).permutation(100)) != order


def test_errors():
    with pytest.raises(ValueError, match='`num_clips` must be >= 1, got 0'):
        Draws(0, 0)
    with pytest.raises(ValueError, match='`seed` must be >= 0, got -1'):
        Draws(3, -1)
    for call in (Draws(3, 0).clip, Draws(3, 0).rng):
        with pytest.raises(ValueError, match='`draw` must be >= 0, got -2'):
            call(-2)
