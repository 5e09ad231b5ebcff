from itertools import pairwise

import numpy as np
import pytest

from star.diffusion.timesteps import (
    fast_timesteps,
    normal_timesteps,
    truncated_timesteps,
)

FAST = [
    *(899, 799, 699, 599, 500, 454, 409),
    *(363, 318, 272, 227, 181, 136, 90),
]


def test_fast_timesteps_are_the_official_ones():
    timesteps = fast_timesteps()
    assert [round(t) for t in timesteps] == FAST
    assert timesteps[5] == pytest.approx(454.454545, abs=1e-6)


@pytest.mark.parametrize('start', [999, 898, 810, 500, 300, 100, 90, 3, 0])
def test_fast_timesteps_from_elsewhere(start):
    timesteps = fast_timesteps(start)
    assert timesteps[0] == start
    assert set(timesteps[1:]) <= set(fast_timesteps())
    assert all(a - b >= 20 for a, b in pairwise(timesteps))
    # all official points are kept but those that are too near
    near = [t for t in fast_timesteps() if start - 20 < t]
    assert len(timesteps) - 1 + len(near) == 14


def test_normal_timesteps_are_the_official_ones():
    assert [round(t) for t in normal_timesteps(15)] == [
        *(899, 843, 786, 730, 674, 618, 562, 505),
        *(449, 393, 336, 280, 224, 168, 112),
    ]
    assert normal_timesteps(8) == [899 - 100 * i for i in range(8)]


@pytest.mark.parametrize('steps', [1, 2, 7, 50, 1000])
@pytest.mark.parametrize('start', [0, 1, 450, 999])
def test_normal_timesteps_stay_in_range(steps, start):
    timesteps = normal_timesteps(steps, start)
    assert len(timesteps) == steps
    assert timesteps[0] == start
    assert all(a > b for a, b in pairwise(timesteps))
    assert timesteps[-1] > -1


def test_refuses_bad_steps_and_starts():
    with pytest.raises(ValueError, match='`steps` must be at least 1, got 0'):
        normal_timesteps(0)
    for start in (-1, 1000):
        with pytest.raises(ValueError, match=f'`start` .* got {start}'):
            fast_timesteps(start)
        with pytest.raises(ValueError, match=f'`start` .* got {start}'):
            normal_timesteps(5, start)


@pytest.mark.parametrize('start', [999, 500, 7, 1, 0])
def test_truncated_timesteps_are_numpys(start):
    """As the official code has it, where a product is nearly whole too."""
    for steps in range(1, max(start, 1) + 1):
        timesteps = truncated_timesteps(steps, start)
        want = np.linspace(start, 0, steps, endpoint=False).astype(int)
        assert timesteps == want.tolist()
        assert all(a > b for a, b in pairwise(timesteps))


def test_truncated_timesteps_are_not_rounded():
    """999 - 66.6 i; rounding gives 866 and 733."""
    timesteps = truncated_timesteps(15)
    assert timesteps[:5] == [999, 932, 865, 799, 732]


@pytest.mark.parametrize('steps', [0, 501])
def test_truncated_timesteps_refuse_bad_steps(steps):
    message = rf'`steps` must lie in \[1, 500\], got {steps}'
    with pytest.raises(ValueError, match=message):
        truncated_timesteps(steps, 500)
